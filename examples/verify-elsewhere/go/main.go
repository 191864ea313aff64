// Verifies Carnet's access tokens (RFC 9068 section 4) with go-jose and nothing but the issuer's URL.
//
//	go run . ISSUER AUDIENCE < tokens
//
// One token a line; for each it prints "accepted SUBJECT" or "refused REASON".
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go run . ISSUER AUDIENCE < tokens")
		os.Exit(2)
	}
	verifier, err := NewVerifier(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		claims, err := verifier.Verify(lines.Text(), time.Now())
		if err != nil {
			fmt.Println("refused", err)
		} else {
			fmt.Println("accepted", claims.Subject)
		}
	}
}
