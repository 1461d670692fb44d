"""The only room that knows Keras, TensorFlow and scikeras.

Importing a module of this room loads TensorFlow, so callers import it inside the function that needs a
network.
"""
