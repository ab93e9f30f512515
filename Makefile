# Every task a person needs. `make` alone lists them; what each needs from the system, scripts/setup.sh installs first.

PROMPT ?= It is a truth universally acknowledged
N      ?= 60
# More flags for make run and make bench: make run ARGS="--backend=vulkan --verbose"
ARGS   ?=
# Which packages the tests run on: make test PKG=./backend/cpu
PKG    ?= ./...
# How long make test-long fuzzes each target, and how long it tries random cases of ops on each device.
FUZZ   ?= 30s
LONG   ?= 5m

# The window needs headers that no other package does, so it has a build tag.
WINDOW = ./internal/command/watch

STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Names the Vulkan drivers to test on, and makes a missing one fail the tests.
ENV = env=$$(scripts/testenv.sh) && eval "$$env" &&
# In CI every test runs; elsewhere one whose inputs are unchanged may answer from Go's cache.
COUNT = $(if $(CI),-count=1)
# Ends a package that hangs. How fast the machine is must not decide what passes: packages take minutes at most.
LIMIT = -timeout 2h

.PHONY: help
help: ## list these tasks
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: run
run: export PROMPT := $(PROMPT)
run: setup-run bin/generate ## write text with the embedded model (PROMPT=… N=… ARGS=…)
	bin/generate -p "$$PROMPT" -n $(N) $(ARGS)

.PHONY: watch
watch: export PROMPT := $(PROMPT)
watch: setup-watch bin/watch ## the same in a window that shows what the model computes, drawn by Vulkan (PROMPT=… ARGS=…)
	bin/watch -p "$$PROMPT" $(ARGS)

.PHONY: test
test: setup-test lint lint-watch ## everything that must hold before a change goes in
	$(ENV) scripts/test.sh -vet=off $(COUNT) $(LIMIT) $(PKG)
	$(if $(filter ./... $(WINDOW),$(PKG)),$(ENV) scripts/test.sh -tags watch -vet=off $(COUNT) $(LIMIT) $(WINDOW))

.PHONY: test-race
test-race: setup-test ## the tests under the race detector
	$(ENV) go test $(COUNT) -race -timeout 4h $(PKG)

.PHONY: test-long
test-long: setup-test ## the tests twice in random order, all played GPUs and CPUs, the conformance suite whole on simulated devices, random cases of ops on each device for LONG=5m, the memory that files of 500 MB take, then each fuzz target for FUZZ=30s
	$(ENV) go test -count=2 -shuffle=on -timeout 4h $(PKG)
	$(MAKE) test-gpus test-cpus
	$(ENV) CALDERA_LONG=$(LONG) go test -count=1 -run '^TestLong$$' -timeout 4h $(PKG)
	$(ENV) scripts/fuzz.sh $(FUZZ) $(PKG)

.PHONY: test-peers
test-peers: setup-run ## what convert, train and bench compute and chats write, in llama.cpp, Hugging Face's tokenizers, Jinja and client of the hub, and PyTorch if there (npm installs them outside of here)
	llama=$$(scripts/peers.sh llama) && tokenizers=$$(scripts/peers.sh tokenizers) && vocabularies=$$(scripts/peers.sh vocabularies) && jinja=$$(scripts/peers.sh jinja) && hub=$$(scripts/peers.sh hub) && templates=$$(scripts/peers.sh templates) && \
	CALDERA_LLAMA=$$llama CALDERA_TOKENIZERS=$$tokenizers CALDERA_VOCABULARIES=$$vocabularies CALDERA_JINJA=$$jinja CALDERA_HUB=$$hub CALDERA_TEMPLATES=$$templates go test -count=1 $(LIMIT) -run TestPeers -v ./gpt/chat ./gpt/checkpoint ./gpt/tokenizer ./internal/hub ./internal/command/convert ./internal/command/train ./internal/bench

# Not part of make test: its driver is that of Debian's unstable release, which moves, and on which a test may fail
# tomorrow for no change of ours.
.PHONY: test-matrix
test-matrix: setup-test ## products and attention on cooperative matrices, as GPUs have them, on a lavapipe of Mesa 26 (fetches 100 MB into the cache)
	$(ENV) scripts/glslc.sh >/dev/null && run=$$(scripts/newmesa.sh) && \
	go test -count=1 -run '/(linear|attention)_matrix' ./shaders && \
	CALDERA_REQUIRE_MATRICES=1 go test -count=1 $(LIMIT) -exec "$$run" -run 'Devices|Features|Subgroup' ./backend/vulkan/internal/vk && \
	CALDERA_REQUIRE_MATRICES=1 go test -count=1 $(LIMIT) -exec "$$run" -run 'Matri|CheckProducts|Subgroups' ./backend/vulkan

# Two of the cards belong to make test; of the others some need the drivers of Debian's unstable release, which moves.
.PHONY: test-gpus
test-gpus: setup-test ## all kernels, models and the conformance suite in the real drivers of 13 GPUs that are not there (fetches 200 MB into the cache)
	$(ENV) CALDERA_GPULAB_SID=$$(scripts/gpulab.sh sid) && export CALDERA_GPULAB_SID && \
	CALDERA_GPUS=all go test -count=1 $(LIMIT) -run '^TestGPUs$$' ./backend/vulkan

# CALDERA_CPU is the best instruction set that may be used, CALDERA_BLAS what multiplies matrices, CALDERA_EMULATOR what
# tests run their own program with.
ARM64 = QEMU_LD_PREFIX=/usr/aarch64-linux-gnu CALDERA_EMULATOR=qemu-aarch64-static GOARCH=arm64 CGO_ENABLED=0 go test -count=1 $(LIMIT) -exec qemu-aarch64-static
.PHONY: test-cpus
test-cpus: setup-cpus ## the CPU backend with the kernels of older processors, with gonum and OpenBLAS, and those of arm64 in an emulator
	for path in CALDERA_CPU=avx2 "CALDERA_CPU=sse2 CALDERA_BLAS=caldera" "CALDERA_CPU=go CALDERA_BLAS=caldera" CALDERA_CPU=avxvnni CALDERA_BLAS=gonum CALDERA_BLAS=libopenblas.so.0; do \
	env $$path go test -count=1 $(LIMIT) -run '^(TestConformance|TestRows|TestManySums|TestLinear|TestAttention|TestReproducible|TestTrainingBits|TestTrainReproducible)' ./backend/cpu ./gpt || exit 1; done
	$(ARM64) -skip '^TestGenerated$$' ./backend/cpu/... ./gpt/internal/draw
	$(ARM64) -run '^Test(Train)?Reproducible$$' ./gpt

.PHONY: results-gpus
results-gpus: setup-test ## the same, and write docs/results/gpus.md of what the drivers made of the kernels
	$(ENV) CALDERA_GPULAB_SID=$$(scripts/gpulab.sh sid) && export CALDERA_GPULAB_SID && \
	CALDERA_GPUS=all CALDERA_GPUS_REPORT=$(CURDIR)/docs/results/gpus.json go test -count=1 $(LIMIT) -run '^TestGPUs$$' ./backend/vulkan && \
	go generate ./internal/gpulab

# What each test of the interpreter told, after its name, in the order of names.
.PHONY: results-interpreter
results-interpreter: setup-test ## the shaders in the interpreter, without each of their barriers in turn; writes docs/results/interpreter.txt and .md of it
	mkdir -p bin
	$(ENV) go test -v -count=1 $(LIMIT) -run '^TestInterpreted' ./backend/vulkan >bin/interpreted.txt || { cat bin/interpreted.txt; exit 1; }
	awk '/^=== (RUN|NAME|CONT)/ { name = $$3 } / (cases run|barriers left out|none needs it)/ { sub(/^ *[a-z_]*\.go:[0-9]*: /, ""); print name ": " $$0 }' bin/interpreted.txt | \
	LC_ALL=C sort >docs/results/interpreter.txt
	go generate ./internal/spirv

.PHONY: lint
lint: ## gofmt, go.mod, go vet (of the assembly for arm64 too), staticcheck, and the build with and without cgo, and on processors without assembly
	@files=$$(gofmt -l .) && if [ -n "$$files" ]; then echo "run gofmt -w on:" $$files; exit 1; fi
	@go mod tidy -diff || { echo "run go mod tidy: go.mod and go.sum do not say what the code imports (above), or could not be checked"; exit 1; }
	go build ./...
	CGO_ENABLED=0 go build ./...
	GOARCH=riscv64 CGO_ENABLED=0 go build ./backend/cpu ./gpt/...
	GOARCH=arm64 CGO_ENABLED=0 go vet ./backend/cpu/... ./gpt/internal/draw
	go vet ./...
	$(STATICCHECK) ./...

.PHONY: lint-watch
lint-watch: setup-watch
	go vet -tags watch ./cmd/caldera ./cmd/watch $(WINDOW)
	$(STATICCHECK) -tags watch ./cmd/caldera ./cmd/watch $(WINDOW)

.PHONY: bench
bench: setup-run bin/bench ## speed of this machine, CPU and Vulkan (ARGS=…)
	bin/bench $(ARGS)

.PHONY: gpu-kit
gpu-kit: setup-run ## a folder, bin/gpu-kit, that tests and measures a graphics card where no Go is: run.sh OUT, in six minutes
	scripts/gpukit.sh bin/gpu-kit

.PHONY: gpu-kit-llama
gpu-kit-llama: ## a folder beside it, bin/gpu-kit-llama, with which run.sh measures llama.cpp on Vulkan too (npm fetches 300 MB)
	scripts/gpukit.sh bin/gpu-kit llama

.PHONY: convert
convert: setup-run bin/convert ## a checkpoint as GGUF, for llama.cpp and ollama, or as safetensors (ARGS="-m … -o …")
	bin/convert $(ARGS)

.PHONY: inspect
inspect: setup-run bin/inspect ## look into a model while it reads a text, in the terminal or as a page (ARGS="lens …", ARGS=serve)
	bin/inspect $(ARGS)

.PHONY: train
train: setup-run bin/train ## a model, or a tokenizer, of your own texts (ARGS="--data=… --out_dir=…", ARGS="tokenizer -o … texts…")
	bin/train $(ARGS)

.PHONY: model
model: setup-run bin/train bin/convert ## train the embedded model anew, on the CPU in about an hour (ARGS=--backend=vulkan)
	scripts/model.sh $(ARGS)

.PHONY: generate-code
generate-code: setup-code ## recompile the shaders, and whatever else is generated
	go generate ./...

.PHONY: clean
clean: ## remove what was built and measured here
	rm -rf bin
	find . -path ./.git -prune -o -type f '(' -name '*.test' -o -name '*.prof' -o -name 'coverage.out' ')' -exec rm -f {} +

.PHONY: setup-run setup-code setup-watch setup-test setup-cpus
setup-run setup-code setup-watch setup-test setup-cpus: setup-%:
	@scripts/setup.sh $*

# go build knows what is up to date. --version and bench's results name the commit, also where GOFLAGS turns off Go's own stamp.
.PHONY: bin/caldera bin/generate bin/convert bin/train bin/bench bin/inspect bin/watch
bin/watch: TAGS = -tags watch
bin/caldera bin/generate bin/convert bin/train bin/bench bin/inspect bin/watch: bin/%:
	go build $(TAGS) -ldflags "-X caldera/internal/version.commit=$$(git describe --always --dirty --abbrev=12 2>/dev/null)" -o $@ ./cmd/$*
