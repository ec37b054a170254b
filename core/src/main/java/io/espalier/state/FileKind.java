package io.espalier.state;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** What a file is that is given as safetensors and is something else, and what to do with it. */
final class FileKind {
    private static final int LOOKED_AT = 512;
    private static final String FROM_PYTHON =
            "in Python, load it there and write safetensors.torch.save_file(state_dict, file)";

    /** Producer, its version, domain, version, description, graph, operator sets and metadata. */
    private static final String ONNX_FIELDS = "\u0012\u001a\"(2:Br";

    private static final String ONNX_FUNCTIONS = "\u00ca\1";

    private FileKind() {}

    /** The kind, if its first bytes tell. */
    static Optional<String> of(FileChannel channel) {
        ByteBuffer bytes = ByteBuffer.allocate(LOOKED_AT);
        try {
            int read = 0;
            while (read >= 0 && bytes.hasRemaining()) {
                read = channel.read(bytes, bytes.position());
            }
        } catch (IOException e) {
            return Optional.empty(); // what is wrong with the file is said anyway
        }
        return of(new String(bytes.array(), 0, bytes.position(), StandardCharsets.ISO_8859_1));
    }

    private static Optional<String> of(String start) {
        if (start.startsWith("PK\3\4")) {
            return Optional.of(archive(start));
        }
        if (isPickle(start)) {
            return Optional.of("a Python pickle, such as an old .pt file; " + FROM_PYTHON);
        }
        if (start.startsWith("\u0089ESPAL")) {
            return Optional.of(
                    "a compressed file, maybe a damaged one; load it into its model, or read it"
                            + " with io.espalier.compress.Compressed");
        }
        if (start.startsWith("GGUF")) {
            return Optional.of("a GGUF file; " + FROM_PYTHON);
        }
        if (start.startsWith("\u0093NUMPY")) {
            return Optional.of("a NumPy array (.npy); read it with io.espalier.data.Npy");
        }
        if (start.startsWith("\u0089HDF\r\n\u001a\n")) {
            return Optional.of("an HDF5 file, such as Keras's .h5; " + FROM_PYTHON);
        }
        if (start.startsWith("TFL3", 4)) {
            return Optional.of("a TensorFlow Lite model; " + FROM_PYTHON);
        }
        if (start.startsWith("version https://git-lfs")) {
            return Optional.of("a pointer of Git LFS; fetch the file itself with git lfs pull");
        }
        if (start.startsWith("\u001f\u008b")) {
            return Optional.of("compressed by gzip; unpack it first");
        }
        if (start.startsWith("\0\0\0\0", 4)) {
            return Optional.empty(); // a length, as safetensors files begin
        }
        if (isOnnx(start)) {
            return Optional.of(
                    "an ONNX model, or another file of protocol buffers; " + FROM_PYTHON);
        }
        String text = start.stripLeading();
        if (text.startsWith("<")) {
            return Optional.of("a page of HTML or XML; download the file itself");
        }
        if (text.startsWith("{") || text.startsWith("[")) {
            return Optional.of("JSON, such as an index of several files; name the file of tensors");
        }
        return Optional.empty();
    }

    /** A pickle begins with its protocol, which is followed by a frame or a large number. */
    private static boolean isPickle(String start) {
        return start.length() > 2
                && start.charAt(0) == 0x80
                && start.charAt(1) >= 2
                && start.charAt(1) <= 5
                && "\u0095\u008a}](c".indexOf(start.charAt(2)) >= 0;
    }

    /** ONNX begins with its version, below 32, and whichever field a model has next. */
    private static boolean isOnnx(String start) {
        return start.length() > 2
                && start.charAt(0) == '\b'
                && start.charAt(1) < 32
                && (ONNX_FIELDS.indexOf(start.charAt(2)) >= 0
                        || start.startsWith(ONNX_FUNCTIONS, 2));
    }

    private static String archive(String start) {
        if (start.contains("data.pkl") || start.contains(".data/")) {
            return "a PyTorch file (.pt, .pth: a zip archive of pickles); " + FROM_PYTHON;
        }
        if (start.contains(".npy")) {
            return "a NumPy archive (.npz); read it with io.espalier.data.Npz";
        }
        return "a zip archive; unpack it, or, if PyTorch wrote it, " + FROM_PYTHON;
    }
}
