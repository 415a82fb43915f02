package trust
import (
 _ "github.com/theupdateframework/go-tuf/v2/metadata"
 _ "github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
 _ "github.com/sigstore/sigstore/pkg/signature"
 _ "github.com/secure-systems-lab/go-securesystemslib/encrypted"
 _ "github.com/klauspost/compress/zstd"
)
