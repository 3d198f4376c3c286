"""What `site_pages` puts together: a module for each kind of page, and `markdown` and `links`, which they share."""
