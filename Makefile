# SPDX-License-Identifier: Apache-2.0
# The front door. `make help` lists what is behind it.
BUILD ?= build
OUT   ?= out
# Public test vectors: a folder that is there already, or else what tools/fetch-vectors.sh fetches.
export SOFTSEV_VECTORS ?= $(abspath $(firstword $(wildcard ../shared/vectors) $(OUT)/vectors))

.PHONY: help run host test test-slow bench interop fuzz lint docs install uninstall deb wheel test-packages \
        clean build

help:
	@echo 'make run        install what is missing, build, fetch a stock Debian guest, boot it as an SEV guest'
	@echo '                (MODE=none, sev, sev-es or sev-snp)'
	@echo 'make host       boot a stock Debian kernel in host mode: its KVM launches SEV, SEV-ES and SNP guests'
	@echo '                (MODE=none, sev, sev-es, sev-snp: QEMU on it launches a stock guest; its owner verifies)'
	@echo 'make test       all tests, with and without sanitizers'
	@echo 'make test-slow  every named kernel in every mode: 64 boots, some of minutes'
	@echo 'make bench      ratios against named peers, in one run'
	@echo 'make interop    unmodified public tools against softsev'
	@echo 'make fuzz       ten seconds of libFuzzer for each target (FUZZ_SECONDS=n)'
	@echo 'make lint       clang-format and clang-tidy over the sources'
	@echo 'make docs       what is written from sources: spec-map, rooms, instructions, options of manual pages'
	@echo 'make install    program, library, headers, manual, examples (PREFIX, DESTDIR); make uninstall'
	@echo 'make test-packages  the Debian packages in a new root, the Python package, the CI action'
	@echo 'make deb        Debian packages; make wheel: the Python package'
	@echo 'make clean      removes build folders and fetched guests'

build:
	@tools/install-deps.sh build
	@tools/build.sh $(BUILD)

run: build
	@AGENT=$(BUILD)/guests/agent/softsev-agent tools/fetch-guest.sh $(OUT)
	@tools/run-demo.sh $(BUILD) $(OUT)

host: build
	@HOST_KVM=$(BUILD)/guests/host/host-kvm tools/fetch-guest.sh $(OUT) host
	@[ -z "$(MODE)" ] || tools/fetch-qemu.sh $(OUT)
	@[ -z "$(MODE)" ] || tools/fetch-oracles.sh $(OUT) images
	@[ -z "$(MODE)" ] || tools/fetch-calculator.sh $(OUT)
	@tools/run-host.sh $(BUILD) $(OUT)

test:
	@tools/install-deps.sh build test
	@tools/fetch-guest.sh $(OUT)
	@tools/fetch-guest.sh $(OUT) host
	@tools/fetch-guest.sh $(OUT) ssh
	@tools/fetch-oracles.sh $(OUT) images
	@[ -d ../shared/vectors ] || tools/fetch-vectors.sh $(OUT)
	@tools/test.sh

test-slow: build
	@tools/install-deps.sh test
	@AGENT=$(BUILD)/guests/agent/softsev-agent tools/fetch-guest.sh $(OUT) all
	@AGENT=$(BUILD)/guests/agent/softsev-agent tools/fetch-guest.sh $(OUT) secure-tsc
	@tools/fetch-oracles.sh $(OUT) images
	@tools/fetch-guest.sh $(OUT) host
	@tools/fetch-qemu.sh $(OUT)
	@tools/fetch-calculator.sh $(OUT)
	@tests/slow/kernels.py $(BUILD)/softsev $(OUT)
	@tests/slow/migrate.py $(BUILD)/softsev $(OUT)
	@tests/slow/host.py $(BUILD)/softsev $(OUT)
	@tests/slow/gdb.py $(BUILD)/softsev $(OUT)
	@tools/fetch-selftests.sh $(OUT)
	@tests/slow/host_selftests.py $(BUILD)/softsev $(OUT)
	@tools/fetch-programs.sh $(OUT)
	@tests/slow/programs.py $(BUILD)/softsev $(OUT)
	@tools/fetch-cryptsetup.sh $(OUT)
	@SOFTSEV_AGENT=$(BUILD)/guests/agent/softsev-agent \
		tests/slow/encrypted_root.py $(BUILD)/softsev $(OUT)

bench: build
	@tools/install-deps.sh bench
	@tools/fetch-guest.sh $(OUT)
	@HOST_KVM=$(BUILD)/guests/host/host-kvm tools/fetch-guest.sh $(OUT) host
	@bench/bench.sh $(BUILD) $(OUT)

interop: build
	@tools/install-deps.sh interop
	@tools/fetch-guest.sh $(OUT)
	@[ -d ../shared/vectors ] || tools/fetch-vectors.sh $(OUT)
	@tests/interop/run.sh $(BUILD) $(OUT)

fuzz:
	@tools/install-deps.sh build test
	@tools/fuzz.sh

lint: build
	@tools/install-deps.sh test
	@tools/lint.sh $(BUILD)

docs: build
	@tools/documents.py write $(BUILD)/softsev .
	@tools/spec_map.py map . >docs/spec-map.md
	@tools/rooms_svg.py draw src/rooms.txt >docs/rooms.svg
	@tools/opcodes.py document src/cpu/decode/opcodes.def docs/instructions.md

install: build
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' tools/install.py install $(BUILD)

test-packages: build
	@tools/install-deps.sh package wheel
	@tests/slow/package.sh $(BUILD) $(OUT)
	@tests/slow/python.sh $(BUILD)
	@tests/slow/action.sh $(BUILD)

deb:
	@tools/install-deps.sh build package
	@tools/deb.sh $(OUT)

wheel: build
	@tools/install-deps.sh wheel
	@tools/wheel.sh $(BUILD) $(OUT)

uninstall:
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' tools/install.py uninstall $(BUILD)

clean:
	rm -rf build build-* $(OUT)
