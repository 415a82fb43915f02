################################################################################
# Skerry from the archive that make dist wrote. Not tried.
################################################################################

SKERRY_VERSION = 1.2.3
SKERRY_ARCH = $(if $(BR2_aarch64),arm64,$(if $(BR2_x86_64),amd64,$(if $(BR2_i386),386,$(if $(BR2_riscv),riscv64,$(if $(BR2_ARM_CPU_ARMV7A),armv7,armv6)))))
SKERRY_SOURCE = skerry-$(SKERRY_VERSION)-linux-$(SKERRY_ARCH).tar.gz
SKERRY_SITE = https://github.com/skerry-edge/skerry/releases/download/v$(SKERRY_VERSION)
SKERRY_LICENSE = Apache-2.0, MIT, BSD-2-Clause, BSD-3-Clause, MPL-2.0
SKERRY_LICENSE_FILES = LICENSE THIRD-PARTY.txt

define SKERRY_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/skerry $(TARGET_DIR)/usr/bin/skerry
	$(INSTALL) -D -m 0640 $(@D)/skerry.yaml $(TARGET_DIR)/etc/skerry/skerry.yaml
	mkdir -p $(TARGET_DIR)/etc/skerry/credentials
endef

define SKERRY_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/skerry.service $(TARGET_DIR)/usr/lib/systemd/system/skerry.service
endef

define SKERRY_USERS
	skerry -1 skerry -1 * /var/lib/skerry - - Skerry
endef

define SKERRY_PERMISSIONS
	/etc/skerry d 750 0 skerry - - - - -
	/etc/skerry/skerry.yaml f 640 0 skerry - - - - -
	/etc/skerry/credentials d 700 0 0 - - - - -
endef

$(eval $(generic-package))
