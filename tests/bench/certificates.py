"""Certificates: how many one core lays out and signs, beside typst and pyhanko alone; a very large one; how long verifying takes."""

import asyncio
import io
import json
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers

from services.certs.domain import document, signature, verification
from services.certs.domain.assets import layout
from services.certs.domain.statement import Statement
from tests.bench.load import line
from tests.certs.corpus import me
from tests.certs.samples import AT, certify, erasure, held, medium, proof, trust

DEVICES = 50
CERTIFICATES = 24
LARGE = 5_000


def statement(devices: int, first: int = 0) -> Statement:
    """A consignment of so many devices, each with a disk that was erased."""
    disks = [medium(f"WD-{first + n:06}") for n in range(devices)]
    return certify([held(f"GRPC26-{first + n:05}", media=[disk], erasures=(erasure(disk),)) for n, disk in enumerate(disks)])


def ours(about: Statement) -> bytes:
    drawn = document.render(about)
    return signature.sign(drawn, proof(drawn, about.number), me(), AT)


def bare(about: Statement) -> bytes:
    """The same document, signed with the same key, as the two libraries do it without us: no proof, nothing pinned."""
    drawn = document.compiler().compile(
        format="pdf",
        sys_inputs={"view": json.dumps(document.view(about)), "data": about.canonical.decode(), "qr": document.qr("x")},
        pdf_standards=["a-3a", "ua-1"],
        timestamp=int(AT.timestamp()),
    )
    assert isinstance(drawn, bytes)
    return asyncio.run(signed(drawn))


async def signed(drawn: bytes) -> bytes:
    metadata = signers.PdfSignatureMetadata(
        field_name="Certificat", md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES, certify=True
    )
    signer = signers.PdfSigner(metadata, signer=signature.Signer(me()))
    out = await signer.async_sign_pdf(IncrementalPdfFileWriter(io.BytesIO(drawn)))
    made: bytes = out.getvalue()
    return made


def cpu_s(work: Callable[[Statement], bytes], abouts: list[Statement]) -> float:
    """CPU that this process takes for them."""
    began = time.process_time()
    for about in abouts:
        work(about)
    return time.process_time() - began


def rates() -> list[str]:
    """In turns, so that both meet the same machine."""
    abouts = [statement(DEVICES, 1_000 * n) for n in range(CERTIFICATES)]
    for work in (ours, bare):
        work(abouts[0])
    third = CERTIFICATES // 3
    took: dict[str, list[float]] = {"ours": [], "bare": []}
    for n in range(0, CERTIFICATES, third):
        took["ours"].append(cpu_s(ours, abouts[n : n + third]) / third)
        took["bare"].append(cpu_s(bare, abouts[n : n + third]) / third)
    mine, theirs = statistics.median(took["ours"]), statistics.median(took["bare"])
    note = f"{CERTIFICATES} certificates of {DEVICES} devices: {1_000 * mine:.0f} ms of CPU each, libraries alone {1_000 * theirs:.0f}"
    return [
        line("certs_vs_bare", theirs / mine, "ratio", ">= 0.85", theirs / mine >= 0.85, note),
        line("certs_per_s_core", 1 / mine, "certificates/s", ">= 15", 1 / mine >= 15, note),
    ]


def verifying() -> str:
    data, known = ours(statement(DEVICES)), trust()
    times = []
    for _ in range(30):
        began = time.perf_counter()
        assert verification.verify(data, known, layout()).ok
        times.append(1_000 * (time.perf_counter() - began))
    middle = statistics.median(times)
    began = time.perf_counter()
    assert verification.verify(data, known, layout(), document.render).ok
    drawn = 1_000 * (time.perf_counter() - began)
    note = f"a certificate of {DEVICES} devices, {len(data)} bytes; {drawn:.0f} ms when the document is laid out again to compare"
    return line("verify_ms", middle, "ms", "<= 50", middle <= 50, note)


async def large() -> str:
    """In a process of its own, whose memory nothing else used."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.certificates", stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    found = json.loads(out)
    note = f"{LARGE} devices, {found['bytes']} bytes, {found['mb']:.0f} MB at most (goal 500)"
    met = found["seconds"] <= 20 and found["mb"] <= 500
    return line("cert_5000_s", found["seconds"], "s", "<= 20", met, note)


async def measure() -> AsyncIterator[str]:
    """Gives the lines of the report."""
    for found in await asyncio.to_thread(rates):
        yield found
    yield await large()
    yield await asyncio.to_thread(verifying)


if __name__ == "__main__":
    about = statement(LARGE)
    start = time.perf_counter()
    size = len(ours(about))
    seconds = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "bytes": size, "mb": most}))  # noqa: T201 for its parent
