// SPDX-License-Identifier: Apache-2.0

// Command verifier lets the unmodified go-sev-guest library judge softsev's reports, certificates, devices and key
// server, and prints TAP lines. Where the library insists on the manufacturer's own names in certificates it must
// refuse, and for that reason alone: every other check of it is called by itself.
package main

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/client"
	"github.com/google/go-sev-guest/kds"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/validate"
	"github.com/google/go-sev-guest/verify"
	"github.com/google/go-sev-guest/verify/trust"
)

var failed bool

func check(name string, err error) bool {
	if err == nil {
		fmt.Printf("ok - %s\n", name)
		return true
	}
	failed = true
	fmt.Printf("not ok - %s\n#   %s\n", name, strings.ReplaceAll(err.Error(), "\n", "\n#   "))
	return false
}

// refuses: the error must be there, and say what `words` matches.
func refuses(name, words string, err error) {
	switch {
	case err == nil:
		check(name, fmt.Errorf("accepted; should say %q", words))
	case !regexp.MustCompile(words).MatchString(err.Error()):
		check(name, fmt.Errorf("should say %q, says: %v", words, err))
	default:
		check(name, nil)
	}
}

// certificate reads NAME.pem or NAME.der of a folder as DER; nil if there is neither.
func certificate(folder, name string) []byte {
	if text, err := os.ReadFile(filepath.Join(folder, name+".pem")); err == nil {
		if block, _ := pem.Decode(text); block != nil {
			return block.Bytes
		}
	}
	der, _ := os.ReadFile(filepath.Join(folder, name+".der"))
	return der
}

// chainOf makes the library's chain out of a folder of certificates, whose VLEK comes first if it has one.
func chainOf(folder string) *spb.CertificateChain {
	return &spb.CertificateChain{
		VcekCert: certificate(folder, "vcek"),
		VlekCert: certificate(folder, "vlek"),
		AskCert:  certificate(folder, "ask"),
		ArkCert:  certificate(folder, "ark"),
		Extras:   map[string][]byte{},
	}
}

// rootsOf: what the owner trusts, from the same folder.
func rootsOf(folder, product string) (*trust.AMDRootCerts, error) {
	ark, err := x509.ParseCertificate(certificate(folder, "ark"))
	if err != nil {
		return nil, fmt.Errorf("%s/ark: %w", folder, err)
	}
	roots := trust.AMDRootCertsProduct(product)
	roots.ProductCerts = &trust.ProductCerts{Ark: ark}
	for name, into := range map[string]**x509.Certificate{"ask": &roots.ProductCerts.Ask, "asvk": &roots.ProductCerts.Asvk} {
		if der := certificate(folder, name); der != nil {
			if *into, err = x509.ParseCertificate(der); err != nil {
				return nil, fmt.Errorf("%s/%s: %w", folder, name, err)
			}
		}
	}
	return roots, nil
}

// judge: everything that the library can say of a report and its certificates.
func judge(what string, raw []byte, attestation *spb.Attestation, roots *trust.AMDRootCerts) {
	report := attestation.GetReport()
	info, err := abi.ParseSignerInfo(report.GetSignerInfo())
	if !check(what+": who signed", err) {
		return
	}
	der := attestation.GetCertificateChain().GetVcekCert()
	if info.SigningKey == abi.VlekReportSigner {
		der = attestation.GetCertificateChain().GetVlekCert()
	}
	key, err := x509.ParseCertificate(der)
	if !check(what+": the key's certificate", err) {
		return
	}
	again, err := abi.ReportToAbiBytes(report)
	if err == nil && !bytes.Equal(again, raw[:abi.ReportSize]) {
		err = fmt.Errorf("other bytes when written again")
	}
	check(what+": format, reserved fields", err)
	check(what+": signature", verify.SnpReportSignature(raw[:abi.ReportSize], key))
	for _, at := range []int{0x90, 0x50, 0x2a0} {
		broken := bytes.Clone(raw[:abi.ReportSize])
		broken[at] ^= 1
		refuses(fmt.Sprintf("%s: a bit of byte %#x changed", what, at), "signature", verify.SnpReportSignature(broken, key))
	}
	options := roots.X509Options(time.Now(), info.SigningKey)
	if options == nil {
		check(what+": roots", fmt.Errorf("no certificates for a %v", info.SigningKey))
		return
	}
	_, err = key.Verify(*options)
	check(what+": certificate path to the root", err)
	extensions, err := kds.CertificateExtensions(key, info.SigningKey)
	if check(what+": extensions of the certificate", err) {
		if uint64(extensions.TCBVersion) != report.GetReportedTcb() {
			err = fmt.Errorf("%#x, reported %#x", extensions.TCBVersion, report.GetReportedTcb())
		}
		check(what+": TCB of the certificate", err)
		_, err = kds.ParseProductName(extensions.ProductName, info.SigningKey)
		check(what+": product name "+extensions.ProductName, err)
	}
	whole := verify.SnpAttestation(attestation, &verify.Options{DisableCertFetching: true, Now: time.Now(),
		TrustedRoots: map[string][]*trust.AMDRootCerts{roots.ProductLine: {roots}}})
	if what == "genuine" {
		check(what+": the whole chain", whole)
	} else {
		refuses(what+": the whole chain is refused for its names, as ours must be", `subject|not expected for AMD`, whole)
	}
	policies(what, attestation)
}

// policies: options that fit the report, then each of them wrong.
func policies(what string, attestation *spb.Attestation) {
	report := attestation.GetReport()
	fitting := func() *validate.Options {
		policy, _ := abi.ParseSnpPolicy(report.GetPolicy())
		platform, _ := abi.ParseSnpPlatformInfo(report.GetPlatformInfo())
		vmpl := int(report.GetVmpl())
		return &validate.Options{GuestPolicy: policy, PlatformInfo: &platform, VMPL: &vmpl,
			MinimumGuestSvn: report.GetGuestSvn(), ReportData: report.GetReportData(), HostData: report.GetHostData(),
			Measurement: report.GetMeasurement(), ChipID: report.GetChipId(), FamilyID: report.GetFamilyId(),
			ImageID: report.GetImageId(), ReportID: report.GetReportId(), ReportIDMA: report.GetReportIdMa(),
			MinimumBuild: uint8(report.GetCurrentBuild()), MinimumTCB: kds.DecomposeTCBVersion(kds.TCBVersion(report.GetReportedTcb())),
			MinimumVersion: uint16(report.GetCurrentMajor()<<8 | report.GetCurrentMinor()), PermitProvisionalFirmware: true}
	}
	check(what+": policy that fits", validate.SnpAttestation(attestation, fitting()))
	turn := func(field []byte) []byte {
		other := bytes.Clone(field)
		other[0] ^= 1
		return other
	}
	vmpl := int(report.GetVmpl()) ^ 1
	for _, wrong := range []struct {
		name, words string
		change      func(o *validate.Options)
	}{
		{"measurement", "MEASUREMENT", func(o *validate.Options) { o.Measurement = turn(o.Measurement) }},
		{"report data", "REPORT_DATA", func(o *validate.Options) { o.ReportData = turn(o.ReportData) }},
		{"host data", "HOST_DATA", func(o *validate.Options) { o.HostData = turn(o.HostData) }},
		{"chip id", "CHIP_ID", func(o *validate.Options) { o.ChipID = turn(o.ChipID) }},
		{"VMPL", "VMPL", func(o *validate.Options) { o.VMPL = &vmpl }},
		{"guest SVN", "GUEST_SVN", func(o *validate.Options) { o.MinimumGuestSvn++ }},
		{"firmware build", "build", func(o *validate.Options) { o.MinimumBuild++ }},
		{"TCB", "TCB", func(o *validate.Options) { o.MinimumTCB.UcodeSpl++ }},
		{"ID key", "not trusted|missing", func(o *validate.Options) { o.RequireIDBlock = true }},
	} {
		options := fitting()
		wrong.change(options)
		refuses(what+": other "+wrong.name, wrong.words, validate.SnpAttestation(attestation, options))
	}
}

func files(what, folder, product, path string) {
	raw, err := os.ReadFile(path)
	if !check("read "+path, err) {
		return
	}
	report, err := abi.ReportToProto(raw)
	roots, noRoots := rootsOf(folder, product)
	if check("report", err) && check("roots", noRoots) {
		judge(what, raw, &spb.Attestation{Report: report, CertificateChain: chainOf(folder)}, roots)
	}
}

// guest: what a program inside a guest does, by the device and, where it is there, by the configuration file system.
func guest(folder, product, out string) {
	roots, err := rootsOf(folder, product)
	if !check("roots", err) {
		return
	}
	var data [64]byte
	copy(data[:], "what the verifier asked for")
	configfs := &client.LinuxConfigFsQuoteProvider{}
	for name, provider := range map[string]client.LeveledQuoteProvider{"device": &client.LinuxIoctlQuoteProvider{},
		"configfs": configfs} {
		if name == "configfs" && !configfs.IsSupported() {
			fmt.Printf("ok - configfs: report # skip no such folder behind this door\n")
			continue
		}
		for level := uint(0); level < 4; level++ {
			raw, err := provider.GetRawQuoteAtLevel(data, level)
			what := fmt.Sprintf("%s, VMPL %d", name, level)
			if !check(what+": report with certificates", err) {
				continue
			}
			attestation, err := abi.ReportCertsToProto(raw)
			if !check(what+": certificate table", err) {
				continue
			}
			if r := attestation.GetReport(); !bytes.Equal(r.GetReportData(), data[:]) || r.GetVmpl() != uint32(level) {
				check(what+": what was asked for", fmt.Errorf("VMPL %d, %q", r.GetVmpl(), r.GetReportData()))
			}
			if level == 0 {
				judge(name, raw, attestation, roots)
				check(name+": report written", os.WriteFile(out, raw[:abi.ReportSize], 0o600))
			}
		}
	}
	derivedKeys()
}

func derivedKeys() {
	device, err := client.OpenDevice()
	if !check("device: open", err) {
		return
	}
	defer device.Close()
	keys := map[string]string{}
	for _, ask := range []struct {
		name    string
		request client.SnpDerivedKeyReq
	}{
		{"VMRK", client.SnpDerivedKeyReq{}},
		{"VMRK again", client.SnpDerivedKeyReq{}},
		{"VCEK", client.SnpDerivedKeyReq{UseVCEK: true}},
		{"with the policy", client.SnpDerivedKeyReq{UseVCEK: true, GuestFieldSelect: client.GuestFieldSelect{GuestPolicy: true}}},
		{"of VMPL 2", client.SnpDerivedKeyReq{UseVCEK: true, Vmpl: 2}},
	} {
		key, err := client.GetDerivedKeyAcknowledgingItsLimitations(device, &ask.request)
		if check("derived key: "+ask.name, err) {
			keys[ask.name] = hex.EncodeToString(key.Data[:])
		}
	}
	if keys["VMRK"] != keys["VMRK again"] {
		check("derived key: the same twice", fmt.Errorf("%v", keys))
	}
	delete(keys, "VMRK again")
	different := map[string]bool{}
	for _, key := range keys {
		different[key] = true
	}
	if len(different) != len(keys) {
		check("derived key: different otherwise", fmt.Errorf("%v", keys))
	}
	_, err = client.GetDerivedKeyAcknowledgingItsLimitations(device, &client.SnpDerivedKeyReq{Vmpl: 7})
	refuses("derived key: no VMPL 7", ".", err)
}

// server sends what the library asks of the manufacturer's key server to ours: the same path and query.
type server struct{ base string }

func (s server) Get(url string) ([]byte, error) {
	_, rest, _ := strings.Cut(url, "://")
	_, path, _ := strings.Cut(rest, "/")
	answer, err := http.Get(s.base + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// keyServer: the library fetches everything but the report, by addresses that it makes itself.
func keyServer(base, product, path string) {
	raw, err := os.ReadFile(path)
	if !check("read "+path, err) {
		return
	}
	report, err := abi.ReportToProto(raw)
	if !check("report", err) {
		return
	}
	name, err := kds.ParseProductLine(product)
	if !check("product", err) {
		return
	}
	options := &verify.Options{Getter: server{base}, Now: time.Now(), Product: &spb.SevProduct{Name: name.Name}}
	attestation, err := verify.GetAttestationFromReport(report, options)
	if !check("key server: certificates by the library's addresses", err) {
		return
	}
	chain := attestation.GetCertificateChain()
	ask, err := x509.ParseCertificate(chain.GetAskCert())
	check("key server: ASK", err)
	ark, err2 := x509.ParseCertificate(chain.GetArkCert())
	check("key server: ARK", err2)
	if err != nil || err2 != nil {
		return
	}
	roots := trust.AMDRootCertsProduct(product)
	roots.ProductCerts = &trust.ProductCerts{Ask: ask, Ark: ark}
	judge("key server", raw, attestation, roots)
	vcek, _ := x509.ParseCertificate(chain.GetVcekCert())
	check("key server: revocation list, signed, of nothing of ours", verify.VcekNotRevoked(roots, vcek, options))
	report.ChipId = bytes.Repeat([]byte{7}, len(report.ChipId))
	_, err = verify.GetAttestationFromReport(report, &verify.Options{Getter: server{base}, Now: time.Now()})
	refuses("key server: no certificate for a chip that it does not know", "404", err)
}

func main() {
	flag.Parse()
	a := flag.Args()
	switch {
	case len(a) == 4 && (a[0] == "files" || a[0] == "genuine"):
		files(a[0], a[1], a[2], a[3])
	case len(a) == 4 && a[0] == "guest":
		guest(a[1], a[2], a[3])
	case len(a) == 2 && a[0] == "fixtures":
		fixtures(a[1])
	case len(a) == 4 && a[0] == "kds":
		keyServer(a[1], a[2], a[3])
	default:
		fmt.Fprintln(os.Stderr, `usage: verifier files|genuine FOLDER PRODUCT REPORT | guest FOLDER PRODUCT OUT |
       kds URL PRODUCT REPORT | fixtures FOLDER`)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}
