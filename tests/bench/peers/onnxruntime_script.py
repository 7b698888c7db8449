"""What one writes with ONNX Runtime, Pillow and zipfile: one process, a session on all cores."""

from watch import Watch

# isort: split
from decoder import Decoder
from errand import read_errand
from pictures import check_zips, write_zip


def main() -> None:
    errand, watch = read_errand(), Watch()
    decoder = Decoder(errand)
    watch.start()
    for start, stop in errand.ranges():
        write_zip(errand, start, decoder.draw(start, stop))
    watch.stop()
    packages = ["onnxruntime", "pillow", "numpy"]
    watch.tell("onnxruntime_script", errand, packages, check_zips(errand))


if __name__ == "__main__":
    main()
