#!/bin/sh
# `enter.sh [-FLAG…] NAME COMMAND…` runs a command on one of the hosts of cluster.sh, as ssh would: a
# launcher on "login" is told to take it for that. Little of the environment goes along.
while case $1 in -*) true ;; *) false ;; esac do shift; done
host=/proc/$(cat "/dev/shm/$1")
shift
exec env -i "PATH=$PATH" "HOME=$HOME" TMPDIR=/dev/shm/tmp \
  nsenter --net="$host/ns/net" --uts="$host/ns/uts" --ipc="$host/ns/ipc" \
  --pid="$host/ns/pid_for_children" --mount="$host/ns/mnt" -- sh -c "$*"
