"""Files that are damaged on purpose: whoever reads one says so in one line, soon and in little memory."""
