package sandbox

import (
	"fmt"
	"slices"
)

// builtinUsers are the people of the built-in space; builtinNames are their short names in the same
// order, for the front matter of pages.
var (
	builtinNames = []string{"mira", "jonas", "aiko", "lucia", "dev", "ingrid", "tomas", "nora", "kwame", "yuki", "elise", "ravi"}
	builtinUsers = []User{
		{AccountID: "712020:1c0f53a2-7b1e-4f6a-9d33-0a61c2b7e101", DisplayName: "Mira Okonkwo", Email: "mira.okonkwo@pelagia.example", TimeZone: "Europe/Berlin"},
		{AccountID: "712020:2d9a41b7-03c5-4e0b-8f52-41d7a9c0e102", DisplayName: "Jonas Brandt", Email: "jonas.brandt@pelagia.example", TimeZone: "Europe/Berlin"},
		{AccountID: "712020:3e7b62c8-5a90-4d1c-b0e4-9f1b3d52e103", DisplayName: "Aiko Tanabe", TimeZone: "Asia/Tokyo"},
		{AccountID: "712020:4f18d3e9-c6b2-4a7d-a1c5-27e08b64e104", DisplayName: "Lucía Ferrer", Email: "lucia.ferrer@pelagia.example", TimeZone: "Europe/Madrid"},
		{AccountID: "712020:50a9e4fa-9d41-4b38-92d6-6c3f1e85e105", DisplayName: "Dev Malhotra", Email: "dev.malhotra@pelagia.example", TimeZone: "Asia/Kolkata"},
		{AccountID: "712020:61baf50b-2e76-4c19-83e7-d50a4f96e106", DisplayName: "Ingrid Sørensen", TimeZone: "Europe/Oslo"},
		{AccountID: "712020:72cb061c-f385-4d2a-b4f8-1e9c6da7e107", DisplayName: "Tomáš Havel", Email: "tomas.havel@pelagia.example", TimeZone: "Europe/Prague"},
		{AccountID: "712020:83dc172d-6894-4e3b-a509-8bfd70b8e108", DisplayName: "Nora Whitcombe", Email: "nora.whitcombe@pelagia.example", TimeZone: "America/Halifax"},
		{AccountID: "712020:94ed283e-bda3-4f4c-961a-f40e81c9e109", DisplayName: "Kwame Asante", Email: "kwame.asante@pelagia.example"},
		{AccountID: "712020:a5fe394f-12b2-405d-872b-5d1f92dae110", DisplayName: "Yuki Morimoto", Email: "yuki.morimoto@pelagia.example", TimeZone: "Asia/Tokyo"},
		{AccountID: "63f0a7c1b24e9d5508a6e111", DisplayName: "Élise Garnier", Email: "elise.garnier@pelagia.example", TimeZone: "Europe/Paris"},
		{AccountID: "5d8e9b3c71f4a20c9be7e112", DisplayName: "Ravi Chandran", Inactive: true},
	}
)

// builtinUser returns the account id of the person with the short name.
func builtinUser(short string) (string, error) {
	i := slices.Index(builtinNames, short)
	if i < 0 {
		return "", fmt.Errorf("%w: no built-in user %q", ErrNotFound, short)
	}
	return builtinUsers[i].AccountID, nil
}
