#!/bin/bash
# Puts metal-rivet into dracut's initramfs. Install the folder as /usr/lib/dracut/modules.d/95metal-rivet, then run
# dracut --force --add metal-rivet.
# METAL_RIVET names the program (default: /usr/local/sbin/metal-rivet, a copy of dist/metal-rivet).

check() {
	[[ -x ${METAL_RIVET:-/usr/local/sbin/metal-rivet} ]] || return 1
	return 255 # only where it is asked for
}

depends() {
	return 0
}

installkernel() {
	# All of them, not only those of this machine; SSIF needs the SMBus controller, a virtual machine's adapter its bus.
	hostonly='' instmods ipmi_si ipmi_devintf ipmi_ssif i2c_i801 i2c_piix4 i2c_ismt 8021q af_packet virtio_pci virtio_net \
		=drivers/net/ethernet
}

install() {
	# By this name it knows that it is a guest: it has a limit, and leaves everything as it found it.
	inst_binary "${METAL_RIVET:-/usr/local/sbin/metal-rivet}" /usr/sbin/inito
	inst_hook pre-mount 50 "$moddir/run-metal-rivet.sh"
	[[ -e /etc/metal-rivet/config.yaml ]] && inst_simple /etc/metal-rivet/config.yaml
	# strip takes the program out of a single executable
	do_strip=no
	return 0
}
