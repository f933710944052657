#!/usr/bin/env bash
# Installs what is missing of Open MPI and MPICH, the two that a group of processes runs over and is tested with: as root
# from Debian's packages; elsewhere it says what to do.
set -euo pipefail

missing=()
command -v mpirun.openmpi > /dev/null || missing+=(openmpi-bin)
command -v mpirun.mpich > /dev/null || missing+=(mpich)
if [ "${#missing[@]}" = 0 ]; then
  echo "Open MPI and MPICH are installed."
  exit
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "Not installed: ${missing[*]}. On Debian and Ubuntu, as root: apt install ${missing[*]}; on a cluster: module load." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
timeout 300 apt-get update -qq > /dev/null || echo "apt-get update failed; going on without." >&2
timeout 900 apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
echo "Installed: ${missing[*]}."
