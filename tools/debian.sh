# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts that fetch files from Debian packages without installing the packages.

# debian_view SUITE: makes a private package list of one Debian suite and sets $view_options, the
# options that make apt-get use it. The system's own sources stay untouched. debian_view_end
# removes the list again.
debian_view() {
    view=$(mktemp -d)
    mkdir -p "$view/lists/partial" "$view/cache/archives/partial"
    debian_uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
        'Origin: Debian' 2>/dev/null |
        head -n 1)
    echo "deb $debian_uri $1 main" >"$view/sources.list"
    view_options="-o Dir::State::Lists=$view/lists -o Dir::Cache=$view/cache
        -o Dir::Etc::SourceList=$view/sources.list -o Dir::Etc::SourceParts=/dev/null
        -o Acquire::Languages=none
        -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false"
    # shellcheck disable=SC2086
    apt-get $view_options update -q >/dev/null 2>&1
}

debian_view_end() {
    rm -rf "$view"
    view_options=""
}

# debian_unpack PACKAGE FOLDER: downloads a package, from the view if there is one, and unpacks it
# into FOLDER.
debian_unpack() {
    mkdir -p "$2"
    # shellcheck disable=SC2086
    (cd "$2" && apt-get ${view_options:-} download -q "$1" >/dev/null 2>&1 && dpkg-deb -x ./*.deb .)
}

# debian_source PACKAGE FOLDER: downloads a source package of this release into FOLDER.
debian_source() {
    mkdir -p "$2/lists/partial" "$2/cache/archives/partial"
    apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) main' 'Created-By: Packages' \
        'Origin: Debian' 2>/dev/null | sort -u >"$2/sources.list"
    (
        cd "$2" || exit 1
        set -- "$1" -o Dir::State::Lists="$2/lists" -o Dir::Cache="$2/cache" \
            -o Dir::Etc::SourceList="$2/sources.list" -o Dir::Etc::SourceParts=/dev/null
        package=$1
        shift
        apt-get "$@" update -q && apt-get "$@" source -q --download-only "$package"
    ) >/dev/null 2>&1
}
