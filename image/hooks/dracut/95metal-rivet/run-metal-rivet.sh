#!/bin/sh
# dracut reads this file into its own shell: no exit here. However the run ends, the machine goes on.
if grep -q 'rivet\.' /proc/cmdline || [ -e /etc/metal-rivet/config.yaml ]; then
	/usr/sbin/inito || :
fi
