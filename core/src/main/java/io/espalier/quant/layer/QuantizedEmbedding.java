package io.espalier.quant.layer;

import io.espalier.nn.Embedding;
import io.espalier.nn.Module;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.Arrays;

/** Looks vectors up in a quantized table: integers [*] to floats [*, size]. */
final class QuantizedEmbedding extends QuantizedTable {
    QuantizedEmbedding(TableRows rows) {
        super(rows);
    }

    @Override
    public boolean standsFor(Module layer) {
        return layer instanceof Embedding table
                && table.numEmbeddings() == rows().count()
                && table.embeddingDim() == rows().size();
    }

    @Override
    protected Tensor forward(Tensor indices) {
        ScalarType type = Tensors.type(indices);
        if (type != ScalarType.Long && type != ScalarType.Int) {
            throw wrongInput(indices, "indices are Long or Int; these are " + type + ".");
        }
        TableRows rows = rows();
        long[] shape = Tensors.shape(indices);
        long[] outputs = Arrays.copyOf(shape, shape.length + 1);
        outputs[shape.length] = rows.size();
        return rows.vectors(indices.reshape(-1).to(ScalarType.Long)).reshape(outputs);
    }
}
