"""A local web page that shows the contents of capture files; `capturefile view` serves it.

It needs the extra `view`: `pip install "capturefile-rs[view]"`.
"""
