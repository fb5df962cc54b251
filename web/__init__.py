"""The operator page: plain HTML, CSS and JavaScript, served by mhttpd and by sim."""
