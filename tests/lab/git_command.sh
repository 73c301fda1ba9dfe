#!/bin/sh
# git_command.sh ROOT read|write [ONLY]: the one thing an ssh key of the lab's Git server may do.
# ROOT holds the repositories as OWNER/NAME.git; ONLY (OWNER/NAME) is the one that the key is for.
set -fu
root=$1 right=$2 only=${3:-}

refuse() {
    echo "lab git: $1" >&2
    exit 128
}

asked=${SSH_ORIGINAL_COMMAND:-}
verb=${asked%% *}
path=${asked#* }
path=${path#\'}
path=${path%\'}
path=${path#/}
path=${path%.git}
case $verb in
git-upload-pack | git-receive-pack) ;;
*) refuse "git over ssh and nothing else" ;;
esac
case $path in
*[!A-Za-z0-9._/-]* | *..* | '') refuse "no such repository" ;;
esac
[ -z "$only" ] || [ "$path" = "$only" ] || refuse "this key is for $only alone"
[ "$verb:$right" != git-receive-pack:read ] || refuse "this deploy key may not push"
exec "$verb" "$root/$path.git"
