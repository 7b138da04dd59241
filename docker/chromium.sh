#!/bin/sh
# Prints the path of Chromium, which the browser tests run in: $CHROMIUM, or the first of its names on the PATH.
for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" && exit
done
echo "there is no Chromium here; install it (sudo apt-get install chromium), or set CHROMIUM to its path" >&2
exit 1
