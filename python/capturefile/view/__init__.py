"""A local web page that shows what is in capture files; `capturefile view` serves it.

It needs the extra `view`: `pip install "capturefile-rs[view]"`.
"""
