"""The one corner of `common` that touches the machine: processes, and Flower's programs.

Coordinator and site start the same programs and watch them alike, and neither imports the
other. Everything else below `common` stays pure.
"""
