"""A local web page that shows the contents of capture files; `capturefile view` serves it.

It requires the extra `view`.
"""
