// Renders the documents on standard input, a JSON list, with every renderer: {name: [html]}.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/russross/blackfriday/v2"
)

func main() {
	var documents []string
	if err := json.NewDecoder(os.Stdin).Decode(&documents); err != nil {
		log.Fatal(err)
	}
	rendered := make([]string, 0, len(documents))
	for _, d := range documents {
		rendered = append(rendered, string(blackfriday.Run([]byte(d))))
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string][]string{"blackfriday": rendered}); err != nil {
		log.Fatal(err)
	}
}
