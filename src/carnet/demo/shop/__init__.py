"""The shop: a browser front end with a small back end of its own, which alone has the tokens."""
