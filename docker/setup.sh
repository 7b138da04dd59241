#!/usr/bin/env bash
# Fetches the build's dependencies into .deps/, checks their pinned checksums, and builds the dashboard:
#
#   docker/setup.sh        libtorch, MediaPipe's weights and web/dist
#   docker/setup.sh small  the same without libtorch, for the build that does not use it
#   docker/setup.sh test   the default, plus what the tests need: MediaPipe, PyTorch, COCO's tools and
#                          TensorBoard's reader for Python (.deps/venv), and Chromium
#
# Each folder is filled under a temporary name and then renamed. A key in it identifies its
# sources. So an interrupted set-up never looks complete, and repeating a complete one takes a second.
# BLAZETUNE_CUDA=1 always fetches CUDA's libraries, and 0 never does. By default, they are fetched if
# this machine has an NVIDIA GPU.
set -euo pipefail
cd "$(dirname "$0")/.."

WEIGHTS_SHA256=bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8
NODE_AT_LEAST=20.19
GIGABYTES_NEEDED=6

main() {
    [[ $# == 0 || $* == test || $* == small ]] || fail "usage: docker/setup.sh [small | test]"
    check_tools
    mkdir -p .deps
    exec 9>.deps/lock
    flock 9 # a concurrent set-up waits here, then finds everything done
    rm -rf .deps/tmp
    mkdir .deps/tmp
    export TMPDIR=$PWD/.deps/tmp # /tmp may be a small RAM disk
    export PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
    find_test_python
    if has_gpu; then libtorch_pins+=(docker/requirements-cuda.txt); fi

    [[ ${1:-} == small ]] || provide libtorch "$(key "$python_tag" "${libtorch_pins[@]}")" fill_libtorch
    provide weights "$(key docker/requirements-weights.txt "$WEIGHTS_SHA256")" fill_weights
    build_web
    if [[ ${1:-} == test ]]; then
        set_up_tests
    fi
    rm -rf .deps/tmp
}

libtorch_pins=(docker/requirements-libtorch.txt)

fill_libtorch() {
    say "fetching libtorch (0.6 GB, or 2.5 GB with CUDA)"
    local pins=()
    for file in "${libtorch_pins[@]}"; do pins+=(-r "$file"); done
    pip_install "$1" "${pins[@]}"
}

fill_weights() {
    say "fetching MediaPipe's weights"
    local name=face_detection_short_range.tflite
    python3 -m pip download --quiet --no-deps --require-hashes "${wheel_options[@]}" \
        --dest .deps/tmp/mediapipe -r docker/requirements-weights.txt
    python3 - .deps/tmp/mediapipe/*.whl "mediapipe/modules/face_detection/$name" >"$1/$name" <<'PYTHON'
import sys, zipfile
sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))
PYTHON
    echo "$WEIGHTS_SHA256  $1/$name" | sha256sum --check --quiet
}

build_web() {
    [[ -f web/package.json ]] || return 0
    local modules sources
    modules=$(key web/package-lock.json)
    sources=$(find web -type f -not -path '*/node_modules/*' -not -path 'web/dist/*' \
        -not -path 'web/test-results/*' -not -path 'web/tests/*' | LC_ALL=C sort)
    # shellcheck disable=SC2086 # the paths contain no spaces
    sources=$(key $sources)

    if [[ $(cat web/node_modules/.key 2>/dev/null) != "$modules" ]]; then
        say "fetching the dashboard's packages"
        npm --prefix web ci --no-audit --no-fund --loglevel=error >/dev/null
        echo "$modules" >web/node_modules/.key
    fi
    if [[ ! -f web/dist/index.html || $(cat .deps/web.key 2>/dev/null) != "$sources" ]]; then
        say "building the dashboard"
        rm -f .deps/web.key
        npm --prefix web run build --silent -- --logLevel warn
        echo "$sources" >.deps/web.key
    fi
}

set_up_tests() {
    if [[ -z $test_python ]]; then
        warn "MediaPipe 0.10.21 needs Python 3.10, 3.11 or 3.12, and none of them is installed:" \
            "the tests that compare with MediaPipe will be SKIPPED"
    else
        provide venv "$(key "$python_tag" docker/cuda_stand_ins.py "${libtorch_pins[@]}" \
            docker/requirements-{test,weights}.txt)" fill_venv
    fi
    docker/chromium.sh >/dev/null 2>&1 || install_chromium
}

# The environment has no pip, because Debian packages it separately.
fill_venv() {
    say "fetching MediaPipe for Python (0.2 GB)"
    "$test_python" -m venv --without-pip "$1"
    local packages
    packages=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    pip_install "$packages" -r docker/requirements-test.txt -r docker/requirements-weights.txt
    # Makes `import torch` find .deps/libtorch, and stand-ins for any CUDA libraries that are missing.
    python3 docker/cuda_stand_ins.py .deps/libtorch "$1/lib/cuda"
    cat >"$packages/libtorch.pth" <<'PYTHON'
../../../../libtorch
import ctypes, pathlib, sys; list(map(ctypes.CDLL, map(str, pathlib.Path(sys.prefix, "lib/cuda").iterdir())))
PYTHON
    local modules="mediapipe, onnx, onnxruntime, pycocotools.cocoeval, safetensors, tensorboard.backend.event_processing.event_accumulator, torch"
    "$1/bin/python" -c "import $modules" >.deps/tmp/import.log 2>&1 ||
        fail "the fetched Python packages cannot be imported: $(tail -n 1 .deps/tmp/import.log)"
}

install_chromium() {
    local sudo=()
    if [[ $(id -u) != 0 ]]; then sudo=(sudo -n); fi
    say "installing Chromium"
    "${sudo[@]}" apt-get update -qq 9>&- &&
        "${sudo[@]}" apt-get install -qq -y --no-install-recommends chromium >/dev/null 9>&- ||
        fail "the browser tests need Chromium; install it: sudo apt-get install chromium"
}

# provide NAME KEY FILL: runs FILL on a new folder and renames it to .deps/NAME, unless .deps/NAME
# already has this key.
provide() {
    local place=.deps/$1 wanted=$2 fill=$3
    if [[ $(cat "$place/.key" 2>/dev/null) == "$wanted" ]]; then return; fi
    rm -rf "$place.part"
    mkdir -p "$place.part"
    "$fill" "$place.part"
    echo "$wanted" >"$place.part/.key"
    # The folder is missing only for a moment, because a build may be running.
    rm -rf "$place.old"
    if [[ -e $place ]]; then mv "$place" "$place.old"; fi
    mv "$place.part" "$place"
    rm -rf "$place.old"
}

# key ARGUMENT…: prints a checksum of the arguments and of the files that they name.
key() {
    for argument; do
        echo "$argument"
        if [[ -f $argument ]]; then cat "$argument"; fi
    done | sha256sum | cut -d' ' -f1
}

# Python is needed only to fetch wheels and to run the tests. Any python3 with pip can fetch the
# wheels, which match the Python version that runs the tests.
find_test_python() {
    local version platform
    test_python=
    python_tag=312
    for python in python3 python3.12 python3.11 python3.10; do
        version=$("$python" -c 'import sys; print(*sys.version_info[:2], sep="")' 2>/dev/null) || continue
        if [[ $version =~ ^31[0-2]$ ]]; then
            test_python=$python
            python_tag=$version
            break
        fi
    done
    wheel_options=(--only-binary=:all: --implementation cp --abi "cp$python_tag" --abi abi3 --abi none
        --python-version "${python_tag:0:1}.${python_tag:1}")
    for platform in manylinux{_2_28,_2_27,_2_26,_2_25,_2_24,_2_18,_2_17,_2_12,_2_5,2014,2010,1}_x86_64; do
        wheel_options+=(--platform "$platform")
    done
}

pip_install() {
    python3 -m pip install --quiet --no-deps --require-hashes \
        --no-warn-script-location --no-compile "${wheel_options[@]}" --upgrade --target "$@"
}

has_gpu() {
    case ${BLAZETUNE_CUDA:-} in
        1) true ;;
        0) false ;;
        *) [[ -e /dev/nvidia0 ]] || nvidia-smi -L >/dev/null 2>&1 ;;
    esac
}

check_tools() {
    local missing=()
    [[ $(uname -sm) == "Linux x86_64" ]] || fail "Blazetune needs Linux on x86-64, but this is $(uname -sm)"
    if ! type -P c++ make >/dev/null; then missing+=(build-essential); fi
    if ! type -P python3 >/dev/null; then missing+=(python3); fi
    if ! python3 -m pip --version >/dev/null 2>&1; then missing+=(python3-pip); fi
    if ! type -P npm >/dev/null; then missing+=(nodejs npm); fi
    [[ ${#missing[@]} == 0 ]] || fail "some tools are missing; install them: sudo apt-get install ${missing[*]}"
    type -P cargo >/dev/null ||
        fail "Rust is missing; install it: curl -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env"
    printf '%s\n' "$NODE_AT_LEAST" "$(node -p process.versions.node)" | sort --check=quiet --version-sort ||
        fail "node $(node --version) is too old; $NODE_AT_LEAST or newer is needed, see https://nodejs.org/en/download"
    local free
    free=$(df --output=avail -BG . | tail -n 1 | tr -dc 0-9)
    if [[ ! -d .deps/libtorch ]] && ((free < GIGABYTES_NEEDED)); then
        warn "only $free GB are free here; set-up and build need about $GIGABYTES_NEEDED GB"
    fi
}

say() { echo "set-up: $*"; }
warn() { echo "set-up: WARNING: $*" >&2; }
fail() {
    echo "set-up: $*" >&2
    exit 1
}

main "$@"
