package io.espalier.quant.layer;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * What lies between two products of a recurrent layer, in floats. The gates are summed up in a
 * tensor of the cell's own, so that its parts are looked up once and not for each element.
 */
sealed interface RecurrentCell {
    /**
     * One element of the sequence.
     *
     * @param fromInput what the input adds to the gates [N, gates · hidden]
     * @param fromState what the state adds; it is used up
     * @param h the state [N, hidden]
     * @param next where the next state is written
     */
    void step(Tensor fromInput, Tensor fromState, Tensor h, Tensor next);

    /** {@code c = σ(f) c + σ(i) tanh(g)}, {@code h = σ(o) tanh(c)}. */
    record Lstm(
            Tensor gates,
            Tensor inputAndForget,
            Tensor input,
            Tensor forget,
            Tensor cell,
            Tensor output,
            Tensor c)
            implements RecurrentCell {
        /** A cell for gates of the given shape, whose state c it changes. */
        Lstm(Tensor like, Tensor c) {
            this(torch.empty_like(like), like.size(1) / 4, c);
        }

        private Lstm(Tensor gates, long n, Tensor c) {
            this(
                    gates,
                    gates.narrow(1, 0, 2 * n),
                    gates.narrow(1, 0, n),
                    gates.narrow(1, n, n),
                    gates.narrow(1, 2 * n, n),
                    gates.narrow(1, 3 * n, n),
                    c);
        }

        @Override
        public void step(Tensor fromInput, Tensor fromState, Tensor h, Tensor next) {
            torch.add_out(gates, fromInput, fromState);
            inputAndForget.sigmoid_();
            cell.tanh_();
            output.sigmoid_();
            c.mul_(forget).addcmul_(input, cell);
            torch.mul_out(next, output, c.tanh());
        }
    }

    /** {@code n = tanh(x + σ(r) u)}, {@code h = n + σ(z) (h − n)}. */
    record Gru(Tensor gates, Tensor resetAndUpdate, Tensor reset, Tensor update)
            implements RecurrentCell {
        /** A cell for gates of the given shape. */
        Gru(Tensor like) {
            this(torch.empty_like(like), like.size(1) / 3);
        }

        private Gru(Tensor gates, long n) {
            this(gates, gates.narrow(1, 0, 2 * n), gates.narrow(1, 0, n), gates.narrow(1, n, n));
        }

        @Override
        public void step(Tensor fromInput, Tensor fromState, Tensor h, Tensor next) {
            long n = h.size(1);
            torch.add_out(gates, fromInput, fromState);
            resetAndUpdate.sigmoid_();
            Tensor fresh =
                    torch.addcmul(
                                    fromInput.narrow(1, 2 * n, n),
                                    reset,
                                    fromState.narrow(1, 2 * n, n))
                            .tanh_();
            torch.sub_out(next, h, fresh);
            next.mul_(update).add_(fresh);
        }
    }
}
