package io.espalier.tensor;

/** A native library that its own Java side unpacks into the folder for temporary files. */
@Internal
public final class UnpackedLibrary {
    private UnpackedLibrary() {}

    /**
     * The error of one that can't be loaded.
     *
     * @param name what it is called, such as {@code "ONNX Runtime"}
     */
    public static EspalierException missing(String name, LinkageError cause) {
        return new EspalierException(
                "%s can't be loaded: it unpacks its library into %s; make room there, or name another folder by -Djava.io.tmpdir=DIR."
                        .formatted(name, System.getProperty("java.io.tmpdir")),
                cause);
    }
}
