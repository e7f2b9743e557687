"""pkilint's linters of certificates, revocation lists and OCSP answers, run in this process."""

from functools import cache

from pkilint import loader, pkix
from pkilint.pkix import certificate, crl, extension, name, ocsp
from pkilint.validation import ValidationFindingSeverity

ARCS_OF_A_UUID = "OID contains arc which is larger than 32-bits"
"""The one exception: our identifiers stand below 2.25, where an arc is a UUID of 128 bits (ITU-T X.667 §6),
which X.690 §8.19 allows and pkilint's own decoder does not read."""


@cache
def _certificate_linter():
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


def _decoders():
    return [
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ]


@cache
def _crl_linter():
    parts = [
        crl.create_issuer_validator_container([]),
        crl.create_validity_validator_container([]),
        crl.create_extensions_validator_container([]),
    ]
    return crl.create_pkix_crl_validator_container(_decoders(), parts)


@cache
def _ocsp_linter():
    decoders = [ocsp.create_response_decoder(), *_decoders()]
    return ocsp.create_pkix_ocsp_response_validator_container(decoders, [])


def faults_of_certificate(der):
    """List pkilint's findings of severity ERROR and above."""
    return _faults(_certificate_linter(), loader.RFC5280CertificateDocumentLoader(), der)


def faults_of_crl(der):
    return _faults(_crl_linter(), loader.RFC5280CertificateListDocumentLoader(), der)


def faults_of_ocsp_response(der):
    return _faults(_ocsp_linter(), loader.RFC6960OCSPResponseDocumentLoader(), der)


def _faults(linter, reader, der):
    document = reader.load_document(der, "here")
    return [
        f"{found.finding.code}: {found.message}"
        for result in linter.validate(document.root)
        for found in result.finding_descriptions
        if found.finding.severity <= ValidationFindingSeverity.ERROR
        and ARCS_OF_A_UUID not in (found.message or "")
    ]
