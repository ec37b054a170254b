package io.espalier.quant.layer;

import io.espalier.quant.observer.Integers;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Operators;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.util.Arrays;

/**
 * The vectors of a table in few bits. Integers lie as libtorch's lookup kernels read them: each row
 * holds its integers, one or two in a byte, then its scale and its offset {@code −scale ·
 * zeroPoint}, as 32-bit floats behind bytes and as 16-bit floats behind half bytes.
 *
 * @param rows unsigned 8 bit [count, {@code size} + 8] or [count, ⌈{@code size} / 2⌉ + 4]; or
 *     16-bit floats [count, {@code size}]
 * @param size the size of each vector
 * @param dtype {@code QUINT8}, {@code QUINT4X2} or {@code FLOAT16}
 */
record TableRows(Tensor rows, long size, QuantizedType dtype) {
    /** The largest 16-bit float. */
    private static final float LARGEST_HALF = 65504;

    /** Observes and quantizes a table [count, size]. */
    static TableRows of(String place, Tensor weight, ObserverFactory factory) {
        Observer observer = factory.made();
        observer.standsAt(place);
        if (observer.dtype() == QuantizedType.FLOAT16) {
            Tensor half = HalfPrecision.half(place, weight);
            return new TableRows(half, weight.size(1), QuantizedType.FLOAT16);
        }
        observer.call(weight.detach());
        return of(place, weight.detach(), observer.quantizationParameters());
    }

    private static TableRows of(String place, Tensor weight, QuantizationParameters parameters) {
        QuantizedType dtype = parameters.dtype();
        boolean bytes = dtype == QuantizedType.QUINT8;
        if ((!bytes && dtype != QuantizedType.QUINT4X2) || parameters.channelAxis() != 0) {
            throw new EspalierException(
                    "The table '"
                            + place
                            + "' is configured as "
                            + dtype
                            + " "
                            + parameters.qscheme()
                            + "; tables are torch.quint8 or torch.quint4x2 with a scale for each"
                            + " row.");
        }
        Tensor scales = parameters.scaleTensor();
        Tensor offsets = parameters.zeroPointTensor().mul(scales).neg();
        if (!bytes && offsets.abs().max().item_float() > LARGEST_HALF) {
            throw new EspalierException(
                    "The table '"
                            + place
                            + "' holds values of more than "
                            + LARGEST_HALF
                            + ", the largest 16-bit float, in which 4-bit rows keep their offset;"
                            + " use 8 bits.");
        }
        Tensor integers = Integers.quantize(weight.contiguous(), parameters).int_repr();
        Tensor tail = torch.stack(new TensorVector(scales, offsets), 1);
        return new TableRows(
                torch.cat(
                        new TensorVector(
                                bytes ? integers : paired(integers),
                                (bytes ? tail : tail.to(ScalarType.Half)).view(ScalarType.Byte)),
                        1),
                weight.size(1),
                dtype);
    }

    /** Two columns in one byte, the first in the low half. */
    private static Tensor paired(Tensor integers) {
        Tensor even = integers.size(1) % 2 == 0 ? integers : torch.constant_pad_nd(integers, 0, 1);
        Tensor pairs = even.reshape(even.size(0), even.size(1) / 2, 2);
        return pairs.select(2, 1).mul(new Scalar(16L)).add(pairs.select(2, 0));
    }

    /**
     * The sum of each bag's vectors.
     *
     * @param indices Long [M]
     * @param offsets Long [N], where each bag begins
     * @param weights what each vector is multiplied by, float [M], or {@code null}
     */
    Tensor sums(Tensor indices, Tensor offsets, @Nullable Tensor weights) {
        if (dtype == QuantizedType.FLOAT16) {
            Tensor vectors = vectors(indices);
            return Tensors.zeros(offsets.numel(), size)
                    .index_add(
                            0,
                            bagOfEach(indices, offsets),
                            weights == null ? vectors : vectors.mul(weights.unsqueeze(1)));
        }
        return integerSums(indices, offsets, weights);
    }

    private Tensor integerSums(Tensor indices, Tensor offsets, @Nullable Tensor weights) {
        String operator =
                dtype == QuantizedType.QUINT8
                        ? "quantized::embedding_bag_byte_rowwise_offsets"
                        : "quantized::embedding_bag_4bit_rowwise_offsets";
        Tensor sums;
        try {
            sums =
                    Operators.call(
                            operator, "", rows, indices, offsets, false, 0, false, weights, null,
                            false);
        } catch (EspalierException e) {
            requireInTable(indices);
            throw e;
        }
        return sums.size(1) == size ? sums : sums.narrow(1, 0, size);
    }

    /** Says what the kernel found, which names no limits. */
    private void requireInTable(Tensor indices) {
        long least = indices.min().item_long();
        long most = indices.max().item_long();
        if (least < 0 || most >= count()) {
            throw new EspalierException(
                    "An index of a table of "
                            + count()
                            + " vectors must be in 0…"
                            + (count() - 1)
                            + "; got "
                            + least
                            + "…"
                            + most
                            + ".");
        }
    }

    /** The vectors at {@code indices}, Long [M]: float [M, size]. */
    Tensor vectors(Tensor indices) {
        if (dtype == QuantizedType.FLOAT16) {
            try {
                return rows.index_select(0, indices).to(ScalarType.Float);
            } catch (RuntimeException e) {
                requireInTable(indices);
                throw e;
            }
        }
        return integerSums(indices, numbers(indices.numel()), null);
    }

    /** The bag that each index lies in: Long [M]. */
    static Tensor bagOfEach(Tensor indices, Tensor offsets) {
        return torch.bucketize(numbers(indices.numel()), offsets, false, true).sub(new Scalar(1L));
    }

    /** The whole table in floats. */
    Tensor dequantized() {
        return vectors(numbers(count()));
    }

    static Tensor numbers(long count) {
        return torch.arange(new Scalar(count)).to(ScalarType.Long);
    }

    long count() {
        return rows.size(0);
    }

    /** The table among the tensors of a file. */
    static TableRows read(Tensor rows, long size, QuantizedType dtype) {
        long width =
                switch (dtype) {
                    case QUINT8 -> size + 2 * Float.BYTES;
                    case QUINT4X2 -> (size + 1) / 2 + 2 * Short.BYTES;
                    case FLOAT16 -> size;
                    case QINT8, QINT32 ->
                            throw new EspalierException(
                                    "tables are QUINT8, QUINT4X2 or FLOAT16, not " + dtype);
                };
        ScalarType type = dtype == QuantizedType.FLOAT16 ? ScalarType.Half : ScalarType.Byte;
        if (rows.dim() != 2
                || rows.size(0) == 0
                || rows.size(1) != width
                || Tensors.type(rows) != type) {
            throw new EspalierException(
                    "A table of vectors of "
                            + size
                            + " as "
                            + dtype
                            + " has rows of "
                            + width
                            + " elements of type "
                            + type
                            + "; the file's is "
                            + Arrays.toString(Tensors.shape(rows))
                            + " of "
                            + Tensors.type(rows)
                            + ".");
        }
        var table = new TableRows(rows, size, dtype);
        table.requireFiniteScales();
        return table;
    }

    /** Refuses rows whose scale or offset is no number, which only a damaged file has. */
    private void requireFiniteScales() {
        if (dtype == QuantizedType.FLOAT16) {
            return;
        }
        try (var scope = new PointerScope()) {
            ScalarType type = dtype == QuantizedType.QUINT8 ? ScalarType.Float : ScalarType.Half;
            long bytes = 2L * (type == ScalarType.Float ? Float.BYTES : Short.BYTES);
            Tensor tail = rows.narrow(1, rows.size(1) - bytes, bytes).contiguous().view(type);
            Tensor wrong = tail.isfinite().logical_not().any(1, false);
            if (wrong.any().item_bool()) {
                throw new EspalierException(
                        "row "
                                + wrong.nonzero().select(0, 0).item_long()
                                + " of a table of vectors has a scale or an offset that is NaN or"
                                + " infinite");
            }
        }
    }
}
