package io.espalier.state;

import io.espalier.tensor.EspalierException;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * What a compressed file begins with: eight bytes by which it is known, the lengths of its header
 * as it stands there and as it was, the checksums (CRC-32C) of the header as it stands there and of
 * all that follows it, and the header. Numbers are little-endian, of four bytes.
 *
 * @param header what it says
 * @param dataStart where the tensors' streams begin
 * @param dataSum their checksum
 */
record CompressedStart(CompressedHeader header, long dataStart, int dataSum) {
    static final long MAGIC =
            ByteBuffer.wrap(new byte[] {(byte) 0x89, 'E', 'S', 'P', 'A', 'L', '1', '\n'}).getLong();

    /** Known by, two lengths, two checksums. */
    static final int BYTES = 24;

    /** JSON that says so many times as much as its bytes is not written. */
    private static final int EXPANSION = 256;

    /** Whether a file begins as a compressed one does; what can't be read does not. */
    static boolean isThere(Path file) {
        if (!Files.isRegularFile(file)) {
            return false;
        }
        try (FileChannel channel = FileChannel.open(file)) {
            ByteBuffer start = ByteBuffer.allocate(Long.BYTES);
            return channel.read(start, 0) == Long.BYTES && start.getLong(0) == MAGIC;
        } catch (IOException e) {
            return false; // what is wrong is said when it is opened
        }
    }

    /**
     * Reads it and checks what it says.
     *
     * @throws EspalierException if anything is wrong; the message is the reason alone
     */
    static CompressedStart read(FileChannel channel) throws IOException {
        long size = channel.size();
        if (size < BYTES) {
            throw new EspalierException("it has " + size + " bytes, too few for a header");
        }
        ByteBuffer start = bytes(channel, 0, BYTES);
        if (start.getLong() != MAGIC) {
            throw new EspalierException("it begins otherwise");
        }
        start.order(ByteOrder.LITTLE_ENDIAN);
        int stored = start.getInt();
        int plain = start.getInt();
        int headerSum = start.getInt();
        int dataSum = start.getInt();
        boolean fits =
                stored >= 0
                        && stored <= size - BYTES
                        && plain >= stored
                        && plain <= SafeTensorsHeader.MAX_BYTES
                        && plain <= (long) EXPANSION * stored;
        if (!fits) {
            throw new EspalierException(
                    "its header claims %s bytes in %s, but %d follow; it may be cut off"
                            .formatted(
                                    Integer.toUnsignedString(plain),
                                    Integer.toUnsignedString(stored),
                                    size - BYTES));
        }
        byte[] coded = bytes(channel, BYTES, stored).array();
        if (sum(List.of(coded)) != headerSum) {
            throw new EspalierException("its header is not the one that was saved");
        }
        long dataStart = BYTES + (long) stored;
        return new CompressedStart(
                CompressedHeader.parse(Zstandard.unpack(coded, plain), size - dataStart),
                dataStart,
                dataSum);
    }

    /** So many bytes of a file. */
    static ByteBuffer bytes(FileChannel channel, long at, int count) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(count);
        while (bytes.hasRemaining()) {
            if (channel.read(bytes, at + bytes.position()) < 0) {
                throw new EspalierException("it became shorter while it was read");
            }
        }
        return bytes.flip();
    }

    /**
     * The bytes that stand before the streams.
     *
     * @throws EspalierException if they were too many; the message is the reason alone
     */
    static ByteBuffer render(CompressedHeader header, List<byte[]> streams) {
        byte[] json = header.render();
        if (json.length > SafeTensorsHeader.MAX_BYTES) {
            throw new EspalierException(
                    "its header would have %d bytes; the limit is %d"
                            .formatted(json.length, SafeTensorsHeader.MAX_BYTES));
        }
        byte[] packed = Zstandard.pack(json);
        byte[] coded = json.length > (long) packed.length * EXPANSION ? json : packed;
        return ByteBuffer.allocate(BYTES + coded.length)
                .putLong(MAGIC)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(coded.length)
                .putInt(json.length)
                .putInt(sum(List.of(coded)))
                .putInt(sum(streams))
                .put(coded)
                .flip();
    }

    private static int sum(List<byte[]> parts) {
        var sum = new CRC32C();
        parts.forEach(sum::update);
        return (int) sum.getValue();
    }
}
