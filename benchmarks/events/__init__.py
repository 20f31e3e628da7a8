"""What finished work leaves behind."""
