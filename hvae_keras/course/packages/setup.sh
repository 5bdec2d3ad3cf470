#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image.
set -euo pipefail
root="${AUTOGRADER_ROOT:-/autograder}"
course="$root/source/course"
environment="$root/environment"
export TF_CPP_MIN_LOG_LEVEL=3 TF_ENABLE_ONEDNN_OPTS=0

fits() {
    # Debian and Ubuntu leave ensurepip out of Python until python3-venv is installed.
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local name
    for name in python3.12 python3.13 python3.11 python3; do
        if command -v "$name" >/dev/null && fits "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# Ubuntu 22.04 has Python 3.10, and of 3.11 a release candidate. uv comes from where all other packages come from and
# brings a finished Python; another archive for apt would be one more server and one more key that can fail.
install_python() {
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv ca-certificates
    python3 -m venv "$root/uv"
    "$root/uv/bin/python" -m pip install --quiet --no-cache-dir uv
    export UV_PYTHON_INSTALL_DIR="$root/python" UV_PYTHON_PREFERENCE=only-managed
    "$root/uv/bin/uv" python install 3.12
}

if python="$(find_python)"; then
    echo "Python: $python"
else
    install_python
    python="$("$root/uv/bin/uv" python find 3.12)"
    echo "Python, installed: $python"
fi

"$python" -m venv "$environment"
"$environment/bin/python" -m pip install --quiet --no-cache-dir -c "$course/constraints.txt" -e "$course"

# An image that cannot grade should fail here, where the instructor sees it, not at the first submission.
HVAE_COURSE="$course" "$environment/bin/hvae" grade "$course/lessons/[[ lesson ]].ipynb" \
    --lesson "[[ lesson ]]" --out "$(mktemp -d)"
echo "Ready to grade [[ lesson ]]."
