"""Stand-ins for ``tests/helpers`` of aihwkit, which its sdist does not ship.

They are copied into the unpacked sdist. Whatever tiles a test asks for, it gets the one tile
under test.
"""
