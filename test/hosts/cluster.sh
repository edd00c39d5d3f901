#!/bin/sh
# Hosts on this machine, for tests: `cluster.sh COUNT` is the first process of a host "login", in
# namespaces of its own, and makes node1, node2, … beside it. Each has its own processes, addresses,
# host name, shared memory and temporary folder; a bridge joins them, and all other files are common.
# Nothing of it has a name outside, so nothing can be left: this ends when its input does, and with the
# first process of its namespaces the kernel ends all others there, and takes the rest back.
set -eu
enter=$(dirname "$0")/enter.sh

# The host that this process is on is called $1, and has the address $2.
settle() {
  echo "$1" >/proc/sys/kernel/hostname
  ip link set lo up
  ip addr add "$2/24" dev eth0
  ip link set eth0 up
  mount -t tmpfs -o size=512m tmpfs /dev/shm
  mkdir /dev/shm/tmp
  # Libraries take those for one machine that were booted at once.
  cat /proc/sys/kernel/random/uuid >/dev/shm/boot
  mount --bind /dev/shm/boot /proc/sys/kernel/random/boot_id
}

if [ "$1" = node ]; then
  settle "$2" "$3"
  exit
fi

# An address of its own: else it has the least one of its ports, and with that port's host it would go, and
# what the others still send to login with it, until they ask again.
ip link add eth0 address 02:00:00:00:00:fe type bridge
settle login 10.0.0.254
cd /dev/shm
echo "127.0.0.1 localhost
10.0.0.254 login" >names
for i in $(seq "$1"); do echo "10.0.0.$i node$i" >>names; done
mount --bind names /etc/hosts

for i in $(seq "$1"); do
  mkfifo "made$i"
  unshare --net --uts --ipc --mount --pid --fork --mount-proc \
    sh -c 'echo made >"$0"; sleep infinity & wait' "made$i" &
  echo $! >"node$i"
  read -r _ <"made$i"
  ip link add "node$i" type veth peer name eth0 netns "$!"
  ip link set "node$i" master eth0 up
  "$enter" "node$i" "$0" node "node$i" "10.0.0.$i"
done
echo ready
exec 3<&0
cat <&3 &
wait $!
