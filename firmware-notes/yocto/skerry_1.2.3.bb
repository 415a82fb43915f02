# Skerry from the archive that make dist wrote. Not tried.
SUMMARY = "Runs WebAssembly functions on a gateway, next to the data"
HOMEPAGE = "https://github.com/skerry-edge/skerry"
LICENSE = "Apache-2.0 & MIT & BSD-2-Clause & BSD-3-Clause & MPL-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=FROM_THE_ARCHIVE"

SKERRY_ARCH:aarch64 = "arm64"
SKERRY_ARCH:armv7a = "armv7"
SKERRY_ARCH:armv7ve = "armv7"
SKERRY_ARCH:armv6 = "armv6"
SKERRY_ARCH:x86-64 = "amd64"
SKERRY_ARCH:x86 = "386"
SKERRY_ARCH:riscv64 = "riscv64"
COMPATIBLE_HOST = "(aarch64|arm|x86_64|i.86|riscv64).*-linux"

SRC_URI = "https://github.com/skerry-edge/skerry/releases/download/v${PV}/skerry-${PV}-linux-${SKERRY_ARCH}.tar.gz;name=${SKERRY_ARCH}"
# One line of SHA256SUMS for each machine that is built for.
SRC_URI[arm64.sha256sum] = "FROM_SHA256SUMS"
SRC_URI[armv7.sha256sum] = "FROM_SHA256SUMS"
S = "${WORKDIR}/skerry-${PV}-linux-${SKERRY_ARCH}"

inherit systemd useradd bash-completion

SYSTEMD_SERVICE:${PN} = "skerry.service"
USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --no-create-home --home-dir /var/lib/skerry --user-group skerry"
RRECOMMENDS:${PN} = "ca-certificates"
# It is stripped, static, and has no build id.
INSANE_SKIP:${PN} = "already-stripped ldflags"

do_install() {
	install -D -m 0755 ${S}/skerry ${D}${bindir}/skerry
	install -D -m 0644 ${S}/skerry.service ${D}${systemd_system_unitdir}/skerry.service
	install -d -m 0750 ${D}${sysconfdir}/skerry
	install -d -m 0700 ${D}${sysconfdir}/skerry/credentials
	install -m 0640 ${S}/skerry.yaml ${D}${sysconfdir}/skerry/skerry.yaml
	chown -R root:skerry ${D}${sysconfdir}/skerry
	chown root:root ${D}${sysconfdir}/skerry/credentials
	install -D -m 0644 ${S}/completion/skerry.bash ${D}${datadir}/bash-completion/completions/skerry
}

CONFFILES:${PN} = "${sysconfdir}/skerry/skerry.yaml"
