def look_up():
    return {}["absent"]


look_up()
