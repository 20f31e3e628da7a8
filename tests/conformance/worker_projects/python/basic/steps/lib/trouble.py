def cause_trouble():
    raise RuntimeError("the secret is kaboom")
