#!/bin/sh
# Prints the path of Chromium for the browser tests: $CHROMIUM, or the first known browser on the PATH.
for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" && exit
done
echo "Chromium was not found; install it (sudo apt-get install chromium), or set CHROMIUM to its path" >&2
exit 1
