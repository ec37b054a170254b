package io.espalier.state;

import com.github.luben.zstd.ZstdCompressCtx;
import com.github.luben.zstd.ZstdDecompressCtx;
import com.github.luben.zstd.ZstdException;
import com.github.luben.zstd.util.Native;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.UnpackedLibrary;

/**
 * Bytes coded by Zstandard (<a href="https://www.rfc-editor.org/rfc/rfc8878">RFC 8878</a>) where
 * that makes them fewer, without what a frame says of itself: whoever reads knows how many they
 * are.
 */
final class Zstandard {
    private static final int QUICK = 1;
    private static final int THOROUGH = 19;

    /** The thorough level codes about a megabyte in five seconds. */
    private static final int THOROUGH_UP_TO = 1 << 18;

    private Zstandard() {}

    /** Before any class of it starts: one that could not would be of no use from then on. */
    private static void load() {
        try {
            Native.load();
        } catch (LinkageError e) {
            throw UnpackedLibrary.missing("Zstandard", e);
        }
    }

    /**
     * The bytes, or fewer that stand for them.
     *
     * @throws EspalierException if Zstandard's own library can't be loaded
     */
    static byte[] pack(byte[] plain) {
        load();
        byte[] quick = coded(plain, QUICK);
        byte[] best = quick.length < plain.length ? quick : plain;
        if (plain.length <= THOROUGH_UP_TO) {
            byte[] thorough = coded(plain, THOROUGH);
            best = thorough.length < best.length ? thorough : best;
        }
        return best;
    }

    private static byte[] coded(byte[] plain, int level) {
        try (var context = new ZstdCompressCtx()) {
            context.setLevel(level).setMagicless(true).setContentSize(false);
            context.setChecksum(false).setDictID(false);
            return context.compress(plain);
        }
    }

    /**
     * The bytes that {@link #pack} was given. No more memory is taken than for those.
     *
     * @param length how many they are
     * @throws EspalierException if the bytes stand for others, or for none; the message is the
     *     reason alone
     */
    static byte[] unpack(byte[] stored, int length) {
        if (stored.length == length) {
            return stored;
        }
        load();
        byte[] plain = new byte[length];
        long got;
        try (var context = new ZstdDecompressCtx()) {
            context.setMagicless(true);
            got = context.decompress(plain, stored);
        } catch (ZstdException e) {
            throw new EspalierException("what is coded can't be read (" + e.getMessage() + ")", e);
        }
        if (got != length) {
            throw new EspalierException("what is coded has " + got + " bytes, not " + length);
        }
        return plain;
    }
}
