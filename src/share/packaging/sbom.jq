# Makes the bill of materials of what cargo-cyclonedx wrote; sbom.sh says why, and gives the variables.

# Rows of words as objects: CRATES has name, version and licence, a Cargo.lock name, version and checksum.
def rows: split("\n") | map(select(. != "") | capture("^(?<name>\\S+)\\s+(?<version>\\S+)\\s+(?<last>.*\\S)\\s*$"));
# Paths of the machine that built it.
def plain: if type == "string" then gsub("path\\+file://[^#]*#"; "") else . end;

($crates | rows) as $linked
| ($checksums | rows) as $known
| walk(plain)
| . as $bom
| ([$bom.components[] | select({ name, version } as $c | any($linked[]; .name == $c.name and .version == $c.version))]) as $ours

# What came with the toolchain: its own crates have its version.
| [ $linked[]
    | select(.name != $bom.metadata.component.name)
    | select({ name, version } as $c | all($ours[]; .name != $c.name or .version != $c.version))
    | . as $row
    | { type: "library", "bom-ref": "\(.name)@\(.version)", name, version, scope: "required",
        licenses: [{ expression: (.last | gsub("/"; " OR ")) }] }
      + if .name == "musl" then
          { purl: "pkg:generic/musl@\(.version)", cpe: "cpe:2.3:a:musl-libc:musl:\(.version):*:*:*:*:*:*:*" }
        elif .version == $rust then
          { purl: "pkg:generic/rust@\(.version)#library/\(.name)", cpe: "cpe:2.3:a:rust-lang:rust:\(.version):*:*:*:*:*:*:*" }
        else
          { purl: "pkg:cargo/\(.name)@\(.version)" }
          + ([$known[] | select(.name == $row.name and .version == $row.version) | .last]
             | if length == 0 then {} else { hashes: [{ alg: "SHA-256", content: .[0] }] } end)
        end
  ] as $theirs

| ([$bom.metadata.component["bom-ref"]] + [($ours + $theirs)[]["bom-ref"]]) as $refs
| del(.serialNumber)
| .metadata.component |= (del(.components) | .purl |= sub("\\?.*"; "") | .hashes = [{ alg: "SHA-256", content: $sum }])
| .components = ($ours + $theirs | sort_by(.name, .version))
| .dependencies = ([
    .dependencies[]
    | select(.ref as $ref | $refs | index($ref))
    | .dependsOn = [.dependsOn[]? | select(. as $ref | $refs | index($ref))]
    # The program is linked with std and musl, and std with the rest of what came with it.
    | if .ref == $bom.metadata.component["bom-ref"] then
        .dependsOn += [$theirs[] | select(.name == "std" or .name == "musl")["bom-ref"]]
      else . end
  ] + [$theirs[] | { ref: .["bom-ref"], dependsOn: (if .name == "std" then [$theirs[] | select(.name != "std")["bom-ref"]] else [] end) }]
  | sort_by(.ref))
