"""A BMC made of Debian's python3-pyghmi, for the peer tests of IPMI over LAN.

Reads one JSON object from standard input: port, suite (3 or 17), users (name -> password), kg (or null), guid (32 hex
digits). Prints "ready" once it listens on 127.0.0.1, and one line for each power request. Ends with standard input.
"""

import hashlib
import hmac
import json
import os
import struct
import sys
import threading
import uuid

from pyghmi.ipmi import bmc
from pyghmi.ipmi.private import constants, serversession

STATUS_INVALID_AUTHENTICATION_ALGORITHM = 0x04
SUITE_17 = (3, 4, 1)


class Sha256Session(serversession.ServerSession):
    """pyghmi's server side knows SHA-1 only; this one speaks cipher suite 17 and nothing else."""

    def create_open_session_response(self, request):
        wanted = tuple(request[at] & 0x3F for at in (12, 20, 28))
        self.clientsessionid = request[4:8]
        if wanted != SUITE_17:
            return bytearray([request[0], STATUS_INVALID_AUTHENTICATION_ALGORITHM, 0, 0]) + self.clientsessionid
        self.currhashlib = hashlib.sha256
        self.currhashlen = 16
        self.managedsessionid = os.urandom(4)
        answer = bytearray([request[0], 0, 4, 0]) + self.clientsessionid + self.managedsessionid
        for kind, number in enumerate(SUITE_17):
            answer += bytearray([kind, 0, 0, 8, number, 0, 0, 0])
        return answer

    def _mac(self, key, *parts):
        return hmac.new(key, b"".join(bytes(part) for part in parts), hashlib.sha256).digest()

    def _who(self):
        return bytes([self.rolem, len(self.username)]) + self.username

    def _got_rakp1(self, data):
        data = bytearray(data)
        self.Rm = bytes(data[8:24])
        self.rolem = data[24]
        self.maxpriv = self.rolem & 0x07
        self.username = bytes(data[28:])
        password = self.authdata.get(self.username.decode("latin-1"))
        if password is None:
            return  # silent, as pyghmi itself
        self.kuid = password.encode("latin-1")
        self.Rc = os.urandom(16)
        self.uuiddata = self.uuid.bytes
        code = self._mac(self.kuid, self.clientsessionid, self.managedsessionid, self.Rm, self.Rc, self.uuiddata,
                         self._who())
        answer = bytearray([data[0], 0, 0, 0]) + self.clientsessionid + self.Rc + self.uuiddata + code
        self.send_payload(answer, constants.payload_types["rakp2"], retry=False)

    def _got_rakp3(self, data):
        data = bytearray(data)
        if data[1] != 0 or self._mac(self.kuid, self.Rc, self.clientsessionid, self._who()) != bytes(data[8:]):
            return  # silent, as pyghmi itself
        self.sik = self._mac(self.kg or self.kuid, self.Rm, self.Rc, self._who())
        self.k1 = self._mac(self.sik, b"\x01" * 20)
        self.k2 = self._mac(self.sik, b"\x02" * 20)
        self.aeskey = self.k2[:16]
        self.localsid = struct.unpack("<I", bytes(self.managedsessionid))[0]
        self.ipmicallback = self.handle_client_request
        code = self._mac(self.sik, self.Rm, self.managedsessionid, self.uuiddata)[:16]
        self.send_payload(bytearray([data[0], 0, 0, 0]) + self.clientsessionid + code,
                          constants.payload_types["rakp4"], retry=False)
        self.confalgo = "aes"
        self.integrityalgo = "sha256"
        self.sequencenumber = 1
        self.sessionid = struct.unpack("<I", bytes(self.clientsessionid))[0]


class Machine(bmc.Bmc):
    power = "off"
    boot = "default"

    def _set(self, power, what):
        self.power = power
        print(what, flush=True)

    def get_power_state(self):
        return self.power

    def power_on(self):
        self._set("on", "power on")

    def power_off(self):
        self._set("off", "power off")

    def power_cycle(self):
        self._set("on", "power cycle")

    def get_boot_device(self):
        return self.boot

    def set_boot_device(self, bootdevice):
        self.boot = bootdevice
        print("boot", bootdevice, flush=True)


def end_with(stream):
    stream.read()
    os._exit(0)


def main():
    given = json.loads(sys.stdin.readline())
    if given["suite"] == 17:
        serversession.ServerSession = Sha256Session
    machine = Machine(given["users"], port=given["port"], address="127.0.0.1", bmcuuid=uuid.UUID(hex=given["guid"]))
    if given["kg"] is not None:
        machine.set_kg(given["kg"])
    threading.Thread(target=end_with, args=(sys.stdin,), daemon=True).start()
    print("ready", flush=True)
    machine.listen()


main()
