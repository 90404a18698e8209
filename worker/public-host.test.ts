import { describe, expect, it } from "vitest";
import { type HostKind, hostKind, isAddress } from "./public-host.ts";

describe("hostKind", () => {
  it.each<[HostKind, readonly string[]]>([
    [
      "public",
      [
        "example.com",
        "a.b.example.co",
        "8.8.8.8",
        "[2606:4700::1111]",
        "xn--bcher-kva.example",
        "EXAMPLE.com.",
        "172.32.0.1",
      ],
    ],
    [
      "loopback",
      [
        "localhost",
        "app.localhost",
        "127.0.0.1",
        "127.8.9.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
      ],
    ],
    [
      "private address",
      [
        ...["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0x0a000001", "167772161"],
        // Link-local (cloud metadata), carrier-grade NAT, this network, documentation, benchmarks, multicast, broadcast, reserved.
        ...["169.254.169.254", "100.64.0.1", "0.0.0.0", "192.0.2.1", "198.51.100.1", "203.0.113.9", "198.18.0.1"],
        ...["224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.0.8"],
        ...[
          "[::]",
          "[fe80::1]",
          "[fc00::1]",
          "[fd12::1]",
          "[ff02::1]",
          "[2001:db8::1]",
          "[::ffff:10.0.0.1]",
          "[100::1]",
        ],
        ...["[64:ff9b::a00:1]", "[2002:a00:1::]", "[2001:0:a00:1::]"],
      ],
    ],
    [
      "local name",
      [
        "router",
        "nas.local",
        "db.internal",
        "local",
        "metadata.google.internal",
        "printer.lan",
        "x.home.arpa",
        "a.invalid",
        "db.internal..",
        "localhost..",
        "127.0.0.1..",
        "a..example.com",
      ],
    ],
  ])("%s", (kind, hosts) => {
    const kinds = hosts.map((host) => [host, hostKind(new URL(`https://${host}/`).hostname)]);
    expect(kinds).toEqual(hosts.map((host) => [host, kind]));
  });
});

describe("isAddress", () => {
  it.each([
    ["8.8.8.8", true],
    ["[2606:4700::1111]", true],
    ["2130706433", true],
    ["example.com", false],
    ["1.example.com", false],
  ])("%s: %s", (host, expected) => {
    expect(isAddress(new URL(`https://${host}/`).hostname)).toBe(expected);
  });
});
