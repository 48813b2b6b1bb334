package bulk

import "testing"

func TestAllowedURL(t *testing.T) {
	tests := []struct {
		url  string
		want bool
	}{
		{"https://storage.googleapis.com/shopify-tiers-assets-prod-us-east1/bulk-operation-outputs/a?GoogleAccessId=b&Expires=1&Signature=c%2Fd", true},
		{"http://storage.googleapis.com/a", false},
		{"ftp://storage.googleapis.com/a", false},
		{"//storage.googleapis.com/a", false},
		{"storage.googleapis.com/a", false},
		{"https:storage.googleapis.com/a", false},
		{"https://storage.googleapis.com:443/a", false},
		{"https://storage.googleapis.com:8080/a", false},
		{"https://storage.googleapis.com:/a", false},
		{"https://storage.googleapis.com./a", false},
		{"https://STORAGE.googleapis.com/a", false},
		{"https://user@storage.googleapis.com/a", false},
		{"https://@storage.googleapis.com/a", false},
		{"https://storage.googleapis.com@evil.example/a", false},
		{"https://storage.googleapis.com\\@evil.example/a", false},
		{"https://storage.googleapis.com#@evil.example/a", true}, // a fragment: the host is right
		{"https://storage.googleapis.com.evil.example/a", false},
		{"https://bucket.storage.googleapis.com/a", false},
		{"https://googleapis.com/a", false},
		{"https://localhost/a", false},
		{"https://127.0.0.1/a", false},
		{"https://[::1]/a", false},
		{"https://169.254.169.254/latest/meta-data", false},
		{"https://metadata.google.internal/a", false},
		{"file:///etc/passwd", false},
		{"https://storage.googleapis.com/\n", false},
		{" https://storage.googleapis.com/a", false},
		{"https:///a", false},
		{"", false},
	}
	for _, tt := range tests {
		if got := AllowedURL(tt.url); got != tt.want {
			t.Errorf("AllowedURL(%q) = %t, want %t", tt.url, got, tt.want)
		}
	}
}
