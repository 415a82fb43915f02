package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// hardware are the marks by which one machine is told from another. A board has a
// serial number (device tree) or a product id (DMI); network interfaces and cards can
// be moved to another one.
type hardware struct {
	Serial  string   `json:"serial,omitempty"`
	Product string   `json:"product,omitempty"`
	MACs    []string `json:"macs,omitempty"`
	Card    string   `json:"card,omitempty"` // CID of the SD card or eMMC
}

// readHardware reads the marks of this machine, those that its user may see. root is
// "/", or a folder that is like it.
func readHardware(root string) (h hardware) {
	for _, path := range []string{"proc/device-tree/serial-number", "sys/firmware/devicetree/base/serial-number"} {
		if h.Serial == "" {
			h.Serial = readMark(filepath.Join(root, path))
		}
	}
	h.Product = readMark(filepath.Join(root, "sys/class/dmi/id/product_uuid"))
	interfaces, _ := filepath.Glob(filepath.Join(root, "sys/class/net/*/device")) // of hardware; the pattern is well-formed
	for _, device := range interfaces {
		dir := filepath.Dir(device)
		if kind, _ := os.ReadFile(filepath.Join(dir, "addr_assign_type")); strings.TrimSpace(string(kind)) != "0" {
			continue // the address is made up, or nobody knows
		}
		if mac := readMark(filepath.Join(dir, "address")); mac != "" {
			h.MACs = append(h.MACs, mac)
		}
	}
	slices.Sort(h.MACs)
	cards, _ := filepath.Glob(filepath.Join(root, "sys/block/mmcblk*/device/cid"))
	for _, card := range cards {
		if h.Card == "" {
			h.Card = readMark(card)
		}
	}
	return h
}

// nobodies are what makers write who have no number to write.
var nobodies = []string{
	"none", "default string", "to be filled by o.e.m.", "not specified", "not applicable", "system serial number", "unknown",
	"03000200-0400-0500-0006-000700080009", "12345678", "123456789", "0123456789", "1234567890",
}

// readMark reads a file that holds one mark, in small letters; "" for none and for what
// is no mark: a word for nothing, or one letter again and again.
func readMark(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	mark := strings.ToLower(strings.TrimSpace(string(bytes.TrimRight(text, "\x00\n"))))
	letters := strings.Trim(strings.NewReplacer("-", "", ":", "", " ", "").Replace(mark), "\x00")
	if letters == "" || strings.Count(letters, letters[:1]) == len(letters) || slices.Contains(nobodies, mark) {
		return ""
	}
	return mark
}

// differs tells how this hardware is not the other one, "" if it may be the same. The
// strongest mark that both have decides.
func (h hardware) differs(now hardware) string {
	switch {
	case h.Serial != "" && now.Serial != "":
		return difference("its serial number was", h.Serial, now.Serial)
	case h.Product != "" && now.Product != "":
		return difference("its product id was", h.Product, now.Product)
	case len(h.MACs) > 0 && len(now.MACs) > 0:
		if slices.ContainsFunc(h.MACs, func(mac string) bool { return slices.Contains(now.MACs, mac) }) {
			return ""
		}
		return difference("its network address was", h.MACs[0], now.MACs[0])
	case h.Card != "" && now.Card != "":
		return difference("its card was", h.Card, now.Card)
	}
	return ""
}

func difference(what, was, is string) string {
	if was == is {
		return ""
	}
	return fmt.Sprintf("%s %.40q, here it is %.40q", what, was, is)
}

// idSources are what an id can be made of, the best first: what belongs to the board
// is the same after its card was written anew.
var idSources = []string{"serial", "product", "machine-id"}

// machineKey makes an id of the machine's own, which is to be told to nobody:
// systemd-id128 -a with it gives the same.
var machineKey = []byte{0x5b, 0x1f, 0x6c, 0x0e, 0x8d, 0x2a, 0x4f, 0x93, 0xb7, 0x54, 0x11, 0xc8, 0x3e, 0x9d, 0x70, 0xa6}

// deriveID makes an id of what the machine is, of one source or of the best there is.
func deriveID(root, source string) (id, from string, err error) {
	h := readHardware(root)
	made := map[string]string{"serial": h.Serial, "product": h.Product, "machine-id": machineID(root)}
	for _, from := range idSources {
		if source != "" && source != from {
			continue
		}
		if id := made[from]; len(id) >= 6 && names.MatchString(id) {
			return id, from, nil
		}
	}
	if source != "" {
		return "", "", fmt.Errorf("this machine has no %s that is an id: give it one with --id", source)
	}
	return "", "", errors.New("this machine has no serial number, no product id and no machine-id to make an id of: give it one with --id, or set device.id")
}

// machineID is an id for this program of the one in /etc/machine-id, as systemd makes
// it: HMAC-SHA256 of the key of the program, written as a UUID of version 4.
func machineID(root string) string {
	key, err := hex.DecodeString(readMark(filepath.Join(root, "etc/machine-id")))
	if err != nil || len(key) != 16 {
		return ""
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(machineKey)
	sum := mac.Sum(nil)[:16]
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80
	return hex.EncodeToString(sum)
}

// ownerOf is who a file belongs to.
func ownerOf(info fs.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return os.Getuid(), os.Getgid()
}
