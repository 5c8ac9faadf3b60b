#!/bin/sh
# The first process of a lab's node, in namespaces of its own (net, mount, pid, uts, ipc). Arguments: the node's folder, its
# name, its address with the prefix length, the switch's address, then dockerd's own. Says "up", waits for a line (the wire is
# there then); at "reload" dockerd reads its daemon.json again, and at any other line, or when who started it is gone, it ends.
# What an engine writes outside of its folders, whatever it is told (/var/lib/docker, /run/containerd, …), goes with the namespaces.
set -eu
folder=$1 name=$2 address=$3 switch=$4
shift 4
exec 3<&0

printf %s "$name" >/proc/sys/kernel/hostname
mount -t tmpfs tmpfs /run
for path in etc var/lib; do
  mkdir -p "/run/lab/$path/upper" "/run/lab/$path/work"
  mount -t overlay overlay -o "lowerdir=/$path,upperdir=/run/lab/$path/upper,workdir=/run/lab/$path/work" "/$path"
done
rm -f /etc/resolv.conf /etc/hosts
# A nameserver that refuses at once, and no way to Docker's registry: an engine would wait 5 to 20 s for each of them.
echo "nameserver $switch" >/etc/resolv.conf
echo "127.0.0.1 localhost registry-1.docker.io" >/etc/hosts
mkdir -p /etc/docker /run/docker/plugins
mount --bind "$folder/etc" /etc/docker
mount --bind "$folder/plugins" /run/docker/plugins
# For dockerd --userns-remap=dockremap.
grep -q ^dockremap: /etc/passwd || echo "dockremap:x:231072:231072::/nonexistent:/usr/sbin/nologin" >>/etc/passwd
grep -q ^dockremap: /etc/group || echo "dockremap:x:231072:" >>/etc/group
for file in subuid subgid; do echo "dockremap:231072:65536" >"/etc/$file"; done

echo up
read -r _ <&3
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up

rm -rf "$folder/docker.sock" "$folder/docker.pid" "$folder/exec"
dockerd --host "unix://$folder/docker.sock" --data-root "$folder/data" --exec-root "$folder/exec" \
  --pidfile "$folder/docker.pid" "$@" >>"$folder/log" 2>&1 &
daemon=$!
(
  while read -r order <&3 && [ "$order" = reload ]; do kill -HUP "$daemon"; done
  kill -TERM "$daemon"
) &
wait "$daemon"
