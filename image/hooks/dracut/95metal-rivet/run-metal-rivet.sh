#!/bin/sh
# dracut reads this file into its own shell: no exit here, and no programs, which may be missing. However the run ends, the
# machine goes on.
read -r rivet_cmdline < /proc/cmdline || :
case " $rivet_cmdline" in
*" rivet."* | *" PIXIE_API_URL="*) rivet_wanted=yes ;;
*) rivet_wanted=no ;;
esac
if [ "$rivet_wanted" = yes ] || [ -e /etc/metal-rivet/config.yaml ]; then
	/usr/sbin/inito || :
fi
unset rivet_cmdline rivet_wanted
