package markdown

import (
	"bytes"
	"net/url"
	"strings"
	"unicode/utf8"
)

// issueInURL returns the Jira issue of an address. Its key is part of the path, in one of Jira's
// forms (/browse/, /projects/X/issues/, /queues/custom/1/, /portal/1/), or a parameter that opens
// an issue on a board.
func issueInURL(u *url.URL) string {
	jira, key := false, ""
	for rest := u.Path; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		switch part {
		case "browse", "issues", "issue", "queues", "portal", "requests", "jira", "servicedesk", "boards", "backlog":
			jira = true
		default:
			if jira && wholeIssueKey(part) {
				key = part
			}
		}
	}
	if key != "" || u.RawQuery == "" {
		return key
	}
	query := u.Query()
	for _, p := range []string{"selectedIssue", "issueKey", "focusedIssue", "modal-issue"} {
		if key := query.Get(p); wholeIssueKey(key) {
			return key
		}
	}
	return ""
}

func wholeIssueKey(s string) bool {
	start, end := issueKeyAt([]byte(s), strings.IndexByte(s, '-'))
	return end > 0 && start == 0 && end == len(s)
}

// issues finds issue keys in running text; offset is the position of its start.
func (f *facts) issues(text []byte, offset int) {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '-')
		if i < 0 {
			return
		}
		at += i
		if start, end := issueKeyAt(text, at); end > 0 {
			key := string(text[start:end])
			f.settle(offset + start)
			f.fileIssue(key, f.places.issue(key))
			at = end
			continue
		}
		at++
	}
}

// notProjects are words that look like the project of an issue key but name a standard, an
// algorithm, a period or a counted thing: UTF-8, SHA-256, ISO-8601, RFC-2119.
var notProjects = map[string]bool{
	"UTF": true, "UCS": true, "ISO": true, "IEC": true, "IEEE": true, "RFC": true, "ECMA": true,
	"ANSI": true, "ASCII": true, "DIN": true, "EN": true, "JIS": true, "KS": true, "GB": true,
	"BIG": true, "LATIN": true, "CP": true, "WINDOWS": true, "KOI8": true, "EUC": true, "BASE": true, "BASE64": true,
	"SHA": true, "MD": true, "AES": true, "DES": true, "RSA": true, "DSA": true, "ECDSA": true, "ED": true,
	"CRC": true, "HMAC": true, "HS": true, "RS": true, "ES": true, "PS": true, "PBKDF": true, "BLAKE": true,
	"SSL": true, "TLS": true, "HTTP": true, "HTTPS": true, "IP": true, "IPV": true, "TCP": true, "UDP": true,
	"USB": true, "PCI": true, "SATA": true, "DDR": true, "ARM": true, "AMD": true, "X86": true, "AS": true,
	"CVE": true, "CWE": true, "FIPS": true, "NIST": true, "SOC": true, "PKCS": true, "OWASP": true, "GDPR": true,
	"PEP": true, "JSR": true, "JEP": true, "KIP": true, "SQL": true, "GPT": true, "COVID": true, "SARS": true,
	"UTC": true, "GMT": true, "Q1": true, "Q2": true, "Q3": true, "Q4": true, "H1": true, "H2": true,
	"FY": true, "KW": true, "CW": true, "JAN": true, "FEB": true, "MAR": true, "APR": true, "MAY": true,
	"JUN": true, "JUL": true, "AUG": true, "SEP": true, "OCT": true, "NOV": true, "DEC": true,
	"TOP": true, "TOR": true, "VER": true, "RC": true, "V1": true, "V2": true, "V3": true, "NO": true,
}

// issueKeyAt returns the range of the issue key whose hyphen is text[hyphen]; end is 0 if there is
// none. A key is [A-Z][A-Z0-9]+-[1-9][0-9]* and not part of a longer word or number.
func issueKeyAt(text []byte, hyphen int) (start, end int) {
	if hyphen < 2 {
		return 0, 0
	}
	start = hyphen
	for start > 0 && (isUpper(text[start-1]) || isDigit(text[start-1])) {
		start--
	}
	if hyphen-start < 2 || hyphen-start > 20 || !isUpper(text[start]) || notProjects[string(text[start:hyphen])] {
		return 0, 0
	}
	if before, _ := utf8.DecodeLastRune(text[:start]); start > 0 && (isWordRune(before) && before < 0x2e80 || before == '_' || before == '-') {
		return 0, 0
	}
	end = hyphen + 1
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	if end == hyphen+1 || end-hyphen > 10 || text[hyphen+1] == '0' {
		return 0, 0
	}
	after, size := utf8.DecodeRune(text[end:])
	switch {
	case size == 0:
	case after == '-' || after == '.' || after == ',':
		if end+1 < len(text) && isDigit(text[end+1]) {
			return 0, 0
		}
	case after == '_', isWordRune(after) && after < 0x2e80:
		return 0, 0
	}
	return start, end
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
