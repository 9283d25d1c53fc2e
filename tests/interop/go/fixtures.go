// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/validate"
	"github.com/google/go-sev-guest/verify"
	"github.com/google/go-sev-guest/verify/trust"
)

// fixture is a case of `softsev fixtures`, as its manifest has it.
type fixture struct {
	Name, Kind, Profile, Report, Certificates, Root, Crl, Expect, Check string

	Policy json.RawMessage
	demand demand
}

// demand is the policy of a case about an SNP report.
type demand struct {
	Time           int64
	MinimumTCB     string `json:"minimum_tcb"`
	MinimumAPI     string `json:"minimum_api"`
	MinimumSvn     uint32 `json:"minimum_svn"`
	MaximumVmpl    int    `json:"maximum_vmpl"`
	AllowDebug     bool   `json:"allow_debug"`
	AllowMigration bool   `json:"allow_migration"`
	Measurement    string
	ReportData     string `json:"report_data"`
	HostData       string `json:"host_data"`
	ChipID         string `json:"chip_id"`
	IDKey          string `json:"id_key_digest"`
	AuthorKey      string `json:"author_key_digest"`
}

// Cases that the library cannot tell from good ones, with the reason.
var unjudged = map[string]string{
	"trailing-byte":            "it reads the first 1184 bytes",
	"committed-below-reported": "it compares the reported TCB with the certificate's and the current one",
	"launch-above-current":     "it asks no more of the launch TCB than a minimum",
	"other-product":            "it takes the product from the certificate where names are refused before",
	"later-model":              "the same",
	"later-family":             "the same",
	"unwanted-author-key":      "it cannot demand that there is none",
	"crl-delta":                "it does not look at a list's extensions",
	"wrong-id-key":             "any ID key will do that a trusted author key has signed",
	"other-id-block":           "it knows keys, not blocks",
	"other-policy":             "it knows bits of a policy, not the whole",
}

// Good cases that the library refuses, with the reason.
var refused = map[string]string{
	"valid-masked-chip-id": "it demands that report and certificate have the same id",
}

func unhex(text string) []byte {
	data, _ := hex.DecodeString(text)
	return data
}

// tcbOf: "4.0.24.219" is boot loader, TEE, SNP, microcode.
func tcbOf(text string) (parts kds.TCBParts) {
	var n [4]uint8
	for i, field := range strings.Split(text, ".") {
		v, _ := strconv.ParseUint(field, 10, 8)
		n[i%4] = uint8(v)
	}
	return kds.TCBParts{BlSpl: n[0], TeeSpl: n[1], SnpSpl: n[2], UcodeSpl: n[3]}
}

func parsed(path string) *x509.Certificate {
	text, _ := os.ReadFile(path)
	if block, _ := pem.Decode(text); block != nil {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			return c
		}
	}
	return nil
}

// file stands in for a key server that has nothing but the list.
type file string

func (f file) Get(string) ([]byte, error) {
	text, err := os.ReadFile(string(f))
	if block, _ := pem.Decode(text); block != nil {
		return block.Bytes, nil
	}
	return text, err
}

// verdict: what a verifier built on the library makes of a case.
func verdict(folder string, c *fixture) error {
	raw, err := os.ReadFile(filepath.Join(folder, c.Report))
	if err != nil {
		return err
	}
	report, err := abi.ReportToProto(raw)
	if err != nil {
		return err
	}
	info, err := abi.ParseSignerInfo(report.GetSignerInfo())
	if err != nil {
		return err
	}
	certificates := filepath.Join(folder, c.Certificates)
	chain := chainOf(certificates)
	der := chain.VcekCert
	if info.SigningKey == abi.VlekReportSigner {
		der = chain.VlekCert
	}
	key, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if err := verify.SnpReportSignature(raw[:abi.ReportSize], key); err != nil {
		return err
	}
	now := time.Unix(c.demand.Time, 0)
	roots := trust.AMDRootCertsProduct("")
	roots.ProductCerts = &trust.ProductCerts{Ark: parsed(filepath.Join(folder, c.Root)),
		Ask: parsed(filepath.Join(certificates, "ask.pem")), Asvk: parsed(filepath.Join(certificates, "asvk.pem"))}
	path := roots.X509Options(now, info.SigningKey)
	if path == nil {
		return errors.New("the chain is not complete")
	}
	if _, err := key.Verify(*path); err != nil {
		return err
	}
	if info.SigningKey == abi.VcekReportSigner {
		if err := verify.VcekNotRevoked(roots, key, &verify.Options{Now: now, Getter: file(filepath.Join(folder, c.Crl))}); err != nil {
			return err
		}
		if roots.CRL.NextUpdate.Before(now) {
			return errors.New("the list is old")
		}
		if len(report.GetChipId()) == 0 || bytes.Equal(report.GetChipId(), make([]byte, abi.ChipIDSize)) {
			return errors.New("the chip id is hidden")
		}
	}
	return validate.SnpAttestation(&spb.Attestation{Report: report, CertificateChain: chain}, options(c, report))
}

func options(c *fixture, report *spb.Report) *validate.Options {
	p := &c.demand
	major, minor, _ := strings.Cut(p.MinimumAPI, ".")
	majorNumber, _ := strconv.ParseUint(major, 10, 8)
	minorNumber, _ := strconv.ParseUint(minor, 10, 8)
	vmpl := min(p.MaximumVmpl, int(report.GetVmpl()))
	o := &validate.Options{
		GuestPolicy:     abi.SnpPolicy{Debug: p.AllowDebug, MigrateMA: p.AllowMigration, SMT: true},
		MinimumGuestSvn: p.MinimumSvn, MinimumTCB: tcbOf(p.MinimumTCB), PermitProvisionalFirmware: true,
		MinimumVersion: uint16(majorNumber<<8 | minorNumber), VMPL: &vmpl,
		Measurement: unhex(p.Measurement), ReportData: unhex(p.ReportData), HostData: unhex(p.HostData), ChipID: unhex(p.ChipID),
	}
	if p.IDKey != "" {
		o.RequireIDBlock = true
		o.TrustedIDKeyHashes = [][]byte{unhex(p.IDKey)}
	}
	if strings.Trim(p.AuthorKey, "0") != "" { // zeros demand that there is none: the library cannot
		o.RequireAuthorKey = true
		o.TrustedAuthorKeyHashes = [][]byte{unhex(p.AuthorKey)}
	}
	return o
}

func fixtures(folder string) {
	var manifest struct{ Cases []fixture }
	text, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(text, &manifest)
	}
	if !check("fixtures: manifest", err) {
		return
	}
	counts := map[string]*[3]int{} // accepted, refused, unjudged
	order := []string{}
	for i := range manifest.Cases {
		c := &manifest.Cases[i]
		// The library knows the TCB of Milan and Genoa only.
		if c.Kind != "snp-report" || strings.HasPrefix(c.Profile, "turin") {
			continue
		}
		if counts[c.Profile] == nil {
			counts[c.Profile] = &[3]int{}
			order = append(order, c.Profile)
		}
		if err := json.Unmarshal(c.Policy, &c.demand); err != nil {
			check("fixtures: "+c.Name, err)
			continue
		}
		_, name, _ := strings.Cut(c.Name, "/")
		err := verdict(folder, c)
		switch {
		case unjudged[name] != "":
			counts[c.Profile][2]++
			if err != nil {
				check("fixtures: "+c.Name+" is judged after all", fmt.Errorf("take it off the list: %v", err))
			}
		case refused[name] != "":
			counts[c.Profile][2]++
			if err == nil {
				check("fixtures: "+c.Name+" is accepted after all", fmt.Errorf("take it off the list"))
			}
		case (err == nil) != (c.Expect == "accept"):
			check("fixtures: "+c.Name, fmt.Errorf("should %s (%s): %v", c.Expect, c.Check, err))
		case err == nil:
			counts[c.Profile][0]++
		default:
			counts[c.Profile][1]++
		}
	}
	slices.Sort(order)
	for _, profile := range order {
		n := counts[profile]
		check(fmt.Sprintf("fixtures: %s: %d accepted, %d refused, %d beyond the library", profile, n[0], n[1], n[2]), nil)
	}
}
